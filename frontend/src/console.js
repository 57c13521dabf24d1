// The console works without this file where a page only shows or submits; it adds what forms alone cannot do.
"use strict";

// Refusals come back as HTML also to requests of htmx; the server looks at the Accept header.
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["Accept"] = "text/html";
});

// A refusal that has just appeared gets the focus, so that a keyboard or a screen reader lands on it.
document.addEventListener("htmx:afterSwap", (event) => {
  const refused = event.detail.target.querySelector("[data-focus]");
  if (refused) {
    refused.focus({ preventScroll: true });
    refused.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
});

// No answer at all: say so where the refusal would stand, instead of doing nothing.
document.addEventListener("htmx:sendError", (event) => {
  const slot = event.detail.elt.querySelector(".form-reasons");
  if (slot) slot.textContent = document.body.dataset.offline || "—";
});

// Upload progress.
document.addEventListener("htmx:xhr:progress", (event) => {
  const form = event.target.closest("form[data-progress]");
  if (!form || !event.detail.lengthComputable) return;
  const percent = Math.round((100 * event.detail.loaded) / event.detail.total);
  const bar = form.querySelector(".progress-bar");
  form.querySelector(".progress").hidden = false;
  bar.style.width = `${percent}%`;
  bar.setAttribute("aria-valuenow", String(percent));
  bar.textContent = `${percent}%`;
  const note = form.querySelector("[data-after-upload]");
  if (note) note.hidden = percent < 100;
});

// Ids and digests are copied by a click or by Enter.
async function copy(element) {
  await navigator.clipboard.writeText(element.dataset.copy);
  element.classList.add("copied");
  setTimeout(() => element.classList.remove("copied"), 900);
}
document.addEventListener("click", (event) => {
  const element = event.target.closest("[data-copy]");
  if (element) copy(element);
  const filler = event.target.closest("[data-fill]");
  if (filler) fill(filler);
});
document.addEventListener("keydown", (event) => {
  if ((event.key === "Enter" || event.key === " ") && event.target.matches("[data-copy]")) {
    event.preventDefault();
    copy(event.target);
  }
});

// An example statement goes into the editor as if it had been typed.
function fill(button) {
  const editor = document.querySelector(button.dataset.fill);
  editor.value = button.dataset.text;
  editor.dispatchEvent(new Event("input", { bubbles: true }));
  editor.focus();
}

// The picture of quality and money: data in an attribute, drawn when the page is there and when its width changes.
const charts = [];
function drawCharts(root) {
  if (typeof echarts === "undefined") return;
  for (const gone of charts.filter((chart) => !chart.getDom().isConnected)) {
    charts.splice(charts.indexOf(gone), 1);
    gone.dispose();
  }
  for (const element of root.querySelectorAll("[data-chart]:not([data-drawn])")) {
    element.dataset.drawn = "";
    const chart = echarts.init(element, null, { renderer: "svg" });
    const options = JSON.parse(element.dataset.chart);
    chart.setOption({ animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily }, ...options });
    charts.push(chart);
  }
}
window.addEventListener("resize", () => charts.forEach((chart) => chart.resize()));
document.addEventListener("DOMContentLoaded", () => drawCharts(document));
document.addEventListener("htmx:afterSettle", (event) => drawCharts(event.detail.elt));

// A whole row or column of a matrix of uses by a click on its head.
document.addEventListener("click", (event) => {
  const head = event.target.closest(".matrix-choice th");
  if (!head) return;
  const table = head.closest("table");
  const boxes = head.scope === "row"
    ? [...head.parentElement.querySelectorAll("input")]
    : [...table.querySelectorAll(`tbody tr td:nth-child(${head.cellIndex + 1}) input`)];
  const wanted = !boxes.every((box) => box.checked);
  boxes.forEach((box) => { box.checked = wanted; });
});

// The digest of a file is computed here; the file itself goes nowhere.
document.addEventListener("change", async (event) => {
  const input = event.target.closest("[data-digest-into]");
  if (!input || !input.files.length) return;
  const bytes = await crypto.subtle.digest("SHA-256", await input.files[0].arrayBuffer());
  const hex = [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  document.querySelector(input.dataset.digestInto).value = hex;
});
