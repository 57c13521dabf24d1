"""Server-rendered pages by role, in Chinese and English. Calls services; owns no rule and no table."""
