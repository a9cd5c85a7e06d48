# SPDX-License-Identifier: MIT
"""What the tests of the documents share: which files they are, and their parts."""
import re

FENCE = re.compile(r"^```(\w*)\s*$")


def documents(tree):
    """README and its like, and docs/."""
    return sorted(tree.glob("*.md")) + sorted(tree.glob("docs/*.md"))


def blocks(text):
    """(line number of the fence, language, paragraph before it, code) of each fenced block."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        fence = FENCE.match(lines[at])
        if not fence:
            at += 1
            continue
        end = at + 1
        while end < len(lines) and lines[end].strip() != "```":
            end += 1
        before = "\n".join(lines[:at]).strip("\n").split("\n\n")[-1]
        yield at + 1, fence.group(1), before, "\n".join(lines[at + 1:end]) + "\n"
        at = end + 1


def prose(text):
    """(line number, line) of what is neither in a fenced block nor an indented one."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield number, line
