"""Writes every mutant of a Rust file into that file, each behind a switch at run time.

A mutant is one small change of the code. All changes are insertions around the text that is there:
`a < b` becomes `(if mutant(7) { (a) > (b) } else { a < b })`.
"""

from dataclasses import dataclass, field

import tree_sitter
import tree_sitter_rust

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
SWITCH = "crate::mutants::on(%d)"

OPERATORS = {
    "==": ["!="], "!=": ["=="], "&&": ["||"], "||": ["&&"],
    "<": ["==", ">", "<="], ">": ["==", "<", ">="], "<=": [">"], ">=": ["<"],
    "+": ["-", "*"], "-": ["+", "/"], "*": ["+", "/"], "/": ["%", "*"], "%": ["/", "+"],
    # No `^` for `|`: what is joined here has no bit in common, so that both are the same.
    "<<": [">>"], ">>": ["<<"], "&": ["|", "^"], "|": ["&"], "^": ["|", "&"],
    "+=": ["-=", "*="], "-=": ["+=", "/="], "*=": ["+="], "/=": ["*="],
    "|=": ["&="], "&=": ["|=", "^="], "^=": ["|=", "&="], "<<=": [">>="], ">>=": ["<<="],
}
INTEGERS = {f"{sign}{bits}" for sign in "ui" for bits in (8, 16, 32, 64, 128, "size")}

# What is not code that runs, or must be constant when it is compiled.
LEFT_OUT = {
    "const_item", "static_item", "attribute_item", "inner_attribute_item", "macro_invocation",
    "macro_definition", "type_item", "use_declaration", "const_block", "array_type",
    "type_arguments", "generic_type", "const_parameter", "line_comment", "block_comment",
}
# Code under these attributes is not compiled for the run, or is there for tests alone.
ATTRIBUTES_LEFT_OUT = (
    "cfg(test", "cfg(all(test", "cfg(any(test", "#[test]", "defmt", "cfg(not(feature",
    "cfg(doc", "_test-util",
)
CONDITIONS = {
    "call_expression", "identifier", "field_expression", "macro_invocation", "unary_expression",
    "match_expression", "try_expression",
}
STATEMENTS = {"call_expression", "try_expression", "assignment_expression"}


@dataclass
class Mutant:
    """`name` says which it is, and stays the same while its function does not change."""

    file: str
    function: str
    change: str
    line: int
    name: str = ""
    id: int = 0
    # The places of the changed text and of all it stands in for, in the file that is written.
    alternative: list = field(default_factory=list)
    region: list = field(default_factory=list)


class File:
    """Collects the mutants of one file, and what is inserted for them."""

    def __init__(self, name, source, dropped, first_id):
        self.name, self.source, self.dropped, self.next_id = name, source, dropped, first_id
        self.mutants, self.insertions, self.path, self.seen = [], [], [], {}
        self.visit_children(PARSER.parse(source).root_node)

    def text(self, node):
        return self.source[node.start_byte : node.end_byte].decode()

    def new(self, node, change):
        """Makes a mutant, unless it is one of those that do not compile. Those have a number, too."""
        change, function = " ".join(change.split()), "::".join(self.path)
        count = self.seen[function, change] = self.seen.get((function, change), 0) + 1
        name = f"{self.name} {function} | {change}" + (f" #{count}" if count > 1 else "")
        self.next_id += 1
        if name in self.dropped:
            return None
        line = node.start_point[0] + 1
        mutant = Mutant(self.name, function, change, line, name, self.next_id - 1)
        self.mutants.append(mutant)
        return mutant

    def insert(self, start, end, before, after):
        """Inserts `before` at `start` and `after` at `end`: texts, or pairs of text and mutant."""
        # At one place: what ends there comes before what begins, the inner end before the outer one.
        size = end - start if after else len(self.source)
        self.insertions.append((start, 1, -size, before, bool(after)))
        if after:
            self.insertions.append((end, 0, size, [after], False))

    def choose(self, node, alternatives):
        """Puts alternatives beside an expression."""
        before = []
        for change, text in alternatives:
            if mutant := self.new(node, change):
                before += [f"if {SWITCH % mutant.id} {{ ", (text, mutant), " } else "]
        if before:
            self.insert(node.start_byte, node.end_byte, ["("] + before + ["{ "], " })")

    def visit(self, node):
        kind = node.type
        if kind in LEFT_OUT:
            return
        if kind == "array_expression" and ";" in [child.type for child in node.children]:
            return
        if kind in ("impl_item", "trait_item", "mod_item"):
            of = node.child_by_field_name("trait")
            if of is not None and self.text(of).split("::")[-1] in ("Debug", "Display"):
                return
            named = node.child_by_field_name("type") or node.child_by_field_name("name")
            self.path.append(self.text(named).split("<")[0])
            self.visit_children(node)
            self.path.pop()
        elif kind == "function_item":
            self.path.append(self.text(node.child_by_field_name("name")))
            self.function(node)
            self.visit_children(node)
            self.path.pop()
        else:
            visitor = getattr(self, kind, None)
            if visitor:
                visitor(node)
            self.visit_children(node)

    def visit_children(self, node):
        attributes = ""
        for child in node.children:
            if child.type == "attribute_item":
                attributes += self.text(child)
            elif child.type not in ("line_comment", "block_comment"):
                if not any(part in attributes for part in ATTRIBUTES_LEFT_OUT):
                    self.visit(child)
                attributes = ""

    # What each kind of node becomes.

    def function(self, node):
        body, returns = node.child_by_field_name("body"), node.child_by_field_name("return_type")
        returns = self.text(returns).strip() if returns else "()"
        inner = " ".join(self.text(body)[1:-1].split())
        for value in values(returns):
            if inner == value or (not inner and value == "()"):
                continue
            mutant = self.new(node.child_by_field_name("name"), f"return {value}")
            if mutant:
                at = body.start_byte + 1
                before = [f" if {SWITCH % mutant.id} {{ return ", (value, mutant), "; }"]
                self.insert(at, at, before, "")

    def binary_expression(self, node):
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if {left.type, right.type} & {"let_condition", "let_chain"}:
            return
        operator = self.text(node.child_by_field_name("operator"))
        left = self.text(left) if node.type.startswith("compound") else f"({self.text(left)})"
        self.choose(node, [
            (f"{other} for {operator} in {self.text(node)[:100]}", f"{left} {other} ({self.text(right)})")
            for other in OPERATORS.get(operator, [])
        ])

    compound_assignment_expr = binary_expression

    def unary_expression(self, node):
        operator, operand = self.text(node.children[0]), node.children[-1]
        if operator == "!" or (operator == "-" and operand.type != "integer_literal"):
            self.choose(node, [(f"no {operator} in {self.text(node)[:100]}", self.text(operand))])

    def if_expression(self, node, choices=("true", "false")):
        condition = node.child_by_field_name("condition")
        if condition.type in CONDITIONS:
            self.choose(condition, [
                (f"{node.type[:-11]} {value}: {self.text(condition)[:100]}", value) for value in choices
            ])

    def while_expression(self, node):
        self.if_expression(node, ("false",))

    def expression_statement(self, node):
        if node.children[0].type in STATEMENTS and node.children[-1].type == ";":
            if mutant := self.new(node, f"without {self.text(node)[:100]}"):
                before = ["if !", (SWITCH % mutant.id, mutant), " { "]
                self.insert(node.start_byte, node.end_byte, before, " }")

    def match_block(self, node):
        arms = [child for child in node.children if child.type == "match_arm"]
        patterns = [arm.child_by_field_name("pattern") for arm in arms]
        has_rest = any(self.text(pattern) == "_" for pattern in patterns)
        for arm, pattern in zip(arms, patterns):
            attributes = self.source[arm.start_byte : pattern.start_byte].decode()
            if any(part in attributes for part in ATTRIBUTES_LEFT_OUT):
                continue
            guard = pattern.child_by_field_name("condition")
            if guard is None:
                if has_rest and self.text(pattern) != "_":
                    if mutant := self.new(pattern, f"without arm {self.text(pattern)[:100]}"):
                        before = [" if !", (SWITCH % mutant.id, mutant)]
                        self.insert(pattern.end_byte, pattern.end_byte, before, "")
            elif guard.type not in ("let_chain", "let_condition"):
                self.choose(guard, [
                    (f"guard {value}: {self.text(guard)[:100]}", value) for value in ("true", "false")
                ])

    def write(self):
        """Returns the text with all mutants, and notes where each stands in it."""
        out, at, open_regions = bytearray(), 0, []
        for position, begins, _, parts, opens in sorted(self.insertions, key=lambda one: one[:3]):
            out += self.source[at:position]
            at, begin, new = position, len(out), []
            for part in parts:
                text, mutant = part if isinstance(part, tuple) else (part, None)
                if mutant:
                    mutant.alternative = [len(out), len(out) + len(text.encode())]
                    new.append(mutant)
                out += text.encode()
            for mutant in new:
                mutant.region = [begin, len(out)]
            if opens:
                open_regions.append(new)
            elif not begins:
                for mutant in open_regions.pop():
                    mutant.region[1] = len(out)
        return bytes(out + self.source[at:])


def values(returns):
    """What a function of this type can return instead."""
    if returns == "bool":
        return ["true", "false"]
    if returns in INTEGERS:
        return ["0", "1"]
    if returns == "()":
        return ["()"]
    if returns.startswith("Option<"):
        inner = returns[7:-1]
        known = inner == "bool" or inner in INTEGERS
        return ["None"] + [f"Some({value})" for value in values(inner) if known]
    if returns.startswith("Result<"):
        return [f"Ok({value})" for value in values(returns[7:-1].split(",")[0])]
    if returns.startswith("[u8;"):
        return [f"[{byte}; {returns[4:-1].strip()}]" for byte in "01"]
    if returns == "Duration":
        return ["Duration::ZERO"]
    if returns == "&str":
        return ['""', '"xyzzy"']
    if returns == "&[u8]":
        return ["&[]", "&[1]"]
    return []
