"""Server-rendered pages by role. Calls services; owns no rule and no table."""
