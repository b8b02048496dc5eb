"""Turns the tests of a folder into a program for Embedded Swift, which has no macros: convert.py TESTS OUT

OUT gets each file with `@Test` functions made plain ones, and a main program that calls every one of them with all of its
arguments. `Testing.swift` has what they call then."""
import re
import sys
from pathlib import Path

REPLACEMENTS = [
    (r"^import Testing\n", ""),
    (r"^import Foundation\n", "import CLibrary\n"),
    (r"^import Kernels\n", "import CSIMD\nimport Kernels\n"),  # modules are not re-exported
    (r"#expect\(", "expect("),
    (r"#_sourceLocation", "SourceLocation()"),
    (r"\(\\\.(\w+)\)", r"({ $0.\1 })"),  # key paths
    (r"@Suite struct", "struct"),
]
TEST = re.compile(r"@Test(?=\(| func )")
DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def split(text, start):
    """What the bracket at `start` holds between its commas, and the place after its end."""
    parts, depth, begin = [], 0, start + 1
    for i in range(start, len(text)):
        depth += DEPTH.get(text[i], 0)
        if depth == 0 or (depth == 1 and text[i] == ","):
            parts.append(text[begin:i].strip())
            begin = i + 1
        if depth == 0:
            return [part for part in parts if part], i + 1
    raise ValueError("a bracket without an end")


def test_call(suite, text, place):
    """How to call the test whose attribute ends at `place`, and where its function begins."""
    arguments = []
    if text[place] == "(":
        arguments, place = split(text, place)
        name, colon, arguments[0] = arguments[0].partition(":")
        if name != "arguments" or not colon:
            raise ValueError(f"@Test({name}: only arguments are understood")
    function = re.compile(r"\s*func (\w+)(?=\()").match(text, place)
    parameters, _ = split(text, function.end())
    labels = [parameter.split(":")[0].split()[0] for parameter in parameters]
    values = [f"value{i}" for i in range(len(labels))]
    call = f"{suite}().{function[1]}({', '.join(f'{label}: {value}' for label, value in zip(labels, values))})"
    call = f'run("{suite}.{function[1]}") {{ {call} }}'
    if len(arguments) == 1:  # of one parameter, or of tuples
        values = [f"({', '.join(values)})"]
    for value, argument in reversed(list(zip(values, arguments, strict=True))):
        call = f"for {value} in ({argument}) {{ {call} }}"
    return call, place


def convert(text):
    """The text, and the suites in it."""
    calls, result, end = {}, "", 0
    for match in TEST.finditer(text):
        suite = re.findall(r"@Suite struct (\w+)", text[:match.start()])[-1]
        call, place = test_call(suite, text, match.end())
        calls.setdefault(suite, []).append(call)
        result += text[end:match.start()]
        end = place
    result += text[end:]
    for pattern, replacement in REPLACEMENTS:
        result = re.sub(pattern, replacement, result, flags=re.MULTILINE)
    for suite, lines in calls.items():
        body = "".join(f"        {line}\n" for line in lines)
        result += f"\nextension {suite} {{\n    static func runAll() {{\n{body}    }}\n}}\n"
    return result, list(calls)


tests, out = map(Path, sys.argv[1:])
suites = []
for file in sorted(tests.glob("*.swift")):
    try:
        text, found = convert(file.read_text())
    except ValueError as error:
        sys.exit(f"{file}: {error}")
    suites += found
    (out / file.name).write_text(text)
body = "".join(f"        {suite}.runAll()\n" for suite in suites)
(out / "Main.swift").write_text(f"@main struct Main {{\n    static func main() {{\n{body}        finish()\n    }}\n}}\n")
