// Copies what the console needs, and nothing else, from node_modules and src into one folder (argument 1).
// A file that npm no longer ships stops the set-up with its name: better here than as a broken page.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const target = resolve(process.argv[2] ?? join(here, "..", "gongshu", "console", "static"));

const vendor = {
  "@tabler/core/dist/css/tabler.min.css": "tabler.min.css",
  "@tabler/core/dist/js/tabler.min.js": "tabler.min.js",
  "htmx.org/dist/htmx.min.js": "htmx.min.js",
  "echarts/dist/echarts.min.js": "echarts.min.js",
};
const licences = {
  "@tabler/core": "tabler",
  "@tabler/icons": "tabler-icons",
  "htmx.org": "htmx",
  echarts: "echarts",
};

function iconNames() {
  return readFileSync(join(here, "icons.txt"), "utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line && !line.startsWith("#"));
}

// One file of symbols, so that a page loads all its icons with one request and can colour them by CSS.
function iconSheet(names) {
  const symbols = names.map((name) => {
    const svg = readFileSync(join(modules, "@tabler/icons/icons/outline", `${name}.svg`), "utf8");
    const body = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"));
    return (
      `<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" ` +
      `stroke-linecap="round" stroke-linejoin="round">${body.replace(/\s*\n\s*/g, "")}</symbol>`
    );
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
}

// Source maps are not shipped; the comments that point at them would make the browser ask for missing files.
function withoutSourceMap(text) {
  return text.replace(/\n?\/[/*]# sourceMappingURL=[^\n]*/g, "");
}

rmSync(target, { recursive: true, force: true });
mkdirSync(join(target, "vendor", "licences"), { recursive: true });
for (const [from, to] of Object.entries(vendor)) {
  writeFileSync(join(target, "vendor", to), withoutSourceMap(readFileSync(join(modules, from), "utf8")));
}
for (const [name, to] of Object.entries(licences)) {
  const licence = ["LICENSE", "LICENSE.md", "LICENSE.txt"].map((file) => join(modules, name, file)).find(existsSync);
  if (licence) cpSync(licence, join(target, "vendor", "licences", `${to}.txt`));
}
writeFileSync(join(target, "vendor", "icons.svg"), iconSheet(iconNames()));
if (existsSync(join(here, "src"))) cpSync(join(here, "src"), target, { recursive: true });
