"""`python -m research_app` is `research-app`."""

from research_app.cli import app

app(prog_name="research-app")
