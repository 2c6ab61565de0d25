"""Jinja2 with the very settings of transformers beside ours: what compare_templates.py and compare_expressions.py share."""

import datetime
import json
import signal
import subprocess

import jinja2
from transformers.utils import chat_template_utils

NOW = datetime.datetime(2025, 7, 4, 15, 9, 26)  # as in tests/text/jinja/render_templates.cpp


class FixedDateTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


class TooSlow(Exception):
    pass


def give_up(_signal, _frame):
    raise TooSlow


def reference(template, variables, limit_s=5):
    """{"output": text}, {"raised": message} for raise_exception, or {"error": "Type: message"}."""
    chat_template_utils.datetime = FixedDateTime
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(limit_s)
    try:
        return {"output": chat_template_utils._compile_jinja_template(template).render(**variables)}
    except TooSlow:
        return {"slow": True}
    except Exception as error:  # whatever Python raises ends the rendering
        if type(error) is jinja2.TemplateError:
            return {"raised": str(error.message)}
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        signal.alarm(0)


class Ours:
    """The tool render_templates, kept running."""

    def __init__(self, tool):
        self.process = subprocess.Popen([tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def render(self, template, cases):
        self.process.stdin.write(json.dumps({"template": template, "cases": cases}).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"render_templates ended with {self.process.wait()} at the template {template!r}")
        return json.loads(line)


def is_refusal(ours):
    """What megalith names as not supported, in docs/templates.md."""
    return any(part in ours.get("error", "") for part in (" not supported", "got an integer that is too large"))


def disagreement(theirs, ours):
    """What differs, or None. Faults need not have the same words, but what raise_exception says does."""
    if "slow" in theirs or is_refusal(ours):
        return None
    if "output" in theirs:
        if ours.get("output") == theirs["output"]:
            return None
        return "other text" if "output" in ours else "error here only"
    if "output" in ours:
        return "error there only"
    if "raised" in theirs and not (ours["kind"] == "usage" and ours["error"].startswith(theirs["raised"].replace("\0", "\\0") + " (line ")):
        return "other message"
    return None
