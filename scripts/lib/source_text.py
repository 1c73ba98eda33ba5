"""Reading source text: files of the tree, and code with comments and string contents blanked out.

Blanking keeps every line break and column, so a position in the blanked text is a position in the file.
"""

import os

SOURCE_ROOTS = ("Sources", "CShims", "Benchmarks", "Tests")


def repository_root():
    """The directory that holds Package.swift, from the place of this file."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def source_files(root, folders, extensions):
    """Paths relative to root of the files with one of the extensions, in a fixed order."""
    found = []
    for folder in folders:
        for directory, subdirectories, names in os.walk(os.path.join(root, folder)):
            subdirectories[:] = sorted(name for name in subdirectories if not name.startswith(".") and name != "__pycache__")
            found += [os.path.relpath(os.path.join(directory, name), root) for name in sorted(names) if name.endswith(extensions)]
    return found


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def line_number(text, position):
    return text.count("\n", 0, position) + 1


def blanked(text, path):
    """The text with comments and string contents replaced by spaces; Swift or C by the path's extension."""
    is_swift = path.endswith(".swift")
    pieces = []
    position = 0
    while position < len(text):
        end = _comment_end(text, position, is_swift)
        if end is None:
            end = _swift_string_end(text, position) if is_swift else _c_literal_end(text, position)
        if end is None:
            pieces.append(text[position])
            position += 1
        else:
            pieces.append("".join(character if character == "\n" else " " for character in text[position:end]))
            position = end
    return "".join(pieces)


def _comment_end(text, position, nests):
    """The position behind the comment that starts here, or None. Swift's block comments nest."""
    if text.startswith("//", position):
        end = text.find("\n", position)
        return len(text) if end < 0 else end
    if not text.startswith("/*", position):
        return None
    depth = 0
    while position < len(text):
        if text.startswith("/*", position) and (nests or depth == 0):
            depth += 1
            position += 2
        elif text.startswith("*/", position):
            depth -= 1
            position += 2
            if depth == 0:
                return position
        else:
            position += 1
    return len(text)


def _swift_string_end(text, position):
    """The position behind the Swift string literal that starts here, or None."""
    hashes = 0
    while text.startswith("#", position + hashes):
        hashes += 1
    start = position + hashes
    if not text.startswith('"', start):
        return None
    quote = '"""' if text.startswith('"""', start) else '"'
    closing = quote + "#" * hashes
    escape = "\\" + "#" * hashes
    position = start + len(quote)
    while position < len(text):
        if text.startswith(closing, position):
            return position + len(closing)
        if text.startswith(escape + "(", position):
            position = _interpolation_end(text, position + len(escape))
        elif text.startswith(escape, position):
            position += len(escape) + 1
        elif text[position] == "\n" and quote == '"':
            return position
        else:
            position += 1
    return len(text)


def _interpolation_end(text, position):
    """The position behind the parenthesis that closes the one at `position`; strings inside are skipped."""
    depth = 0
    while position < len(text):
        inner = _swift_string_end(text, position)
        if inner is not None:
            position = inner
            continue
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        position += 1
        if depth == 0:
            return position
    return len(text)


def _c_literal_end(text, position):
    """The position behind the C string or character literal that starts here, or None."""
    quote = text[position]
    if quote not in "\"'":
        return None
    position += 1
    while position < len(text) and text[position] != "\n":
        if text[position] == "\\":
            position += 2
        elif text[position] == quote:
            return position + 1
        else:
            position += 1
    return position
