"""Runs every mutant of the library against the tests that reach it. See README.md.

Usage: run.py PROJECT FOLDER STEP...   with the steps prepare, build, cover, test, report
"""

import concurrent.futures
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict

import mutate

HERE = pathlib.Path(__file__).parent
# The modules of the library with code of their own. Left out are the backends, which are checked
# against others, documentation, and what writes records for people.
LEFT_OUT = re.compile(
    r"/tests\.rs|^src/lib\.rs|/trace\.rs|^src/guide/|^src/crypto/(error|check/|rustcrypto/)"
)
FEATURES = ["--features", "issue,log,_test-util"]
TARGETS = """session exchange wire values stream check_in group certificates case pase crypto
    known_answers secrets_in_memory toy manager attacks scenarios""".split()
# Longer tests meet only the mutants that all shorter ones let pass.
SHORT, LONG = 0.5, 20.0
WORKERS = 2
MEMORY = 4 << 30


class Run:
    def __init__(self, project, folder):
        self.project, self.folder = pathlib.Path(project).resolve(), pathlib.Path(folder).resolve()
        self.tree = self.folder / "tree"
        self.environment = dict(
            os.environ,
            CARGO_TARGET_DIR=str(self.folder / "build"),
            CARGO_MANIFEST_DIR=str(self.tree),
            CARGO_TARGET_TMPDIR=str(self.folder),
            PROPTEST_MAX_SHRINK_ITERS="0",
            PROPTEST_DISABLE_FAILURE_PERSISTENCE="1",
            RUST_BACKTRACE="0",
        )

    def read(self, name, otherwise=None):
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else otherwise

    def keep(self, name, value):
        (self.folder / name).write_text(json.dumps(value, indent=0))

    def cargo(self, *arguments):
        """Returns the messages of cargo, and whether it succeeded."""
        command = ["cargo", *arguments, *FEATURES, "--message-format", "json"]
        environment = {k: v for k, v in self.environment.items() if k != "CARGO_MANIFEST_DIR"}
        done = subprocess.run(command, cwd=self.tree, env=environment, capture_output=True, text=True)
        messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return messages, done

    # Steps

    def prepare(self):
        """Copies the project, and puts the mutants that compile into the copy."""
        names = subprocess.run(
            ["git", "ls-files", "-z"], cwd=self.project, capture_output=True, text=True, check=True
        ).stdout.split("\0")
        for name in filter(None, names):
            target = self.tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # Unchanged files keep their time, so that cargo need not build them again.
            if not target.exists() or target.read_bytes() != (self.project / name).read_bytes():
                shutil.copyfile(self.project / name, target)
        manifest = (self.project / "Cargo.toml").read_text()
        manifest = manifest.replace('unsafe_code = "forbid"\n', "").replace(
            "[profile.test]\nopt-level = 2\n",
            "[profile.test]\nopt-level = 1\ndebug = 0\nincremental = false\n\n"
            '[profile.test.package."*"]\nopt-level = 3\n',
        )
        write(self.tree / "Cargo.toml", manifest)
        root = (self.project / "src/lib.rs").read_text()
        root = re.sub(r"#!\[(forbid|deny)\(\w+\)\]\n", "", root)
        root = re.sub(r"#!\[warn\([^]]*\)\]\n", "#![allow(warnings, arithmetic_overflow)]\n", root)
        write(self.tree / "src/lib.rs", root + "#[doc(hidden)]\npub mod mutants;\n")
        self.compile("check", "--lib", "--profile", "test")

    def compile(self, *arguments):
        """Compiles the copy. Leaves out the mutants that do not compile, and tries again."""
        dropped = set(self.read("dropped.json", []))
        while True:
            mutants = self.write_mutants(dropped)
            messages, done = self.cargo(*arguments)
            if done.returncode == 0:
                self.keep("mutants.json", [vars(mutant) for mutant in mutants])
                return messages
            errors = [
                message["message"] for message in messages
                if message["reason"] == "compiler-message" and message["message"]["level"] == "error"
            ]
            bad = {name for error in errors for name in blamed(error, mutants)}
            print(len(mutants), "mutants,", len(bad), "do not compile", flush=True)
            if not bad:
                sys.exit("\n".join(error["rendered"] for error in errors[:5]) + done.stderr[-2000:])
            dropped |= bad
            self.keep("dropped.json", sorted(dropped))

    def write_mutants(self, dropped):
        mutants, next_id = [], 1
        for path in sorted((self.project / "src").rglob("*.rs")):
            name = str(path.relative_to(self.project))
            if LEFT_OUT.search(name):
                continue
            file = mutate.File(name, path.read_bytes(), dropped, next_id)
            write(self.tree / name, file.write())
            mutants += file.mutants
            next_id = file.next_id
        switch = (HERE / "mutants.rs").read_text().replace("COUNT", str(next_id))
        write(self.tree / "src/mutants.rs", switch)
        return mutants

    def build(self, *targets):
        """Builds the tests."""
        programs = self.read("programs.json", {})
        chosen = [f"--test={target}" for target in targets or TARGETS if target != "lib"]
        for message in self.compile("test", "--no-run", "--lib", *chosen):
            if message.get("executable") and message["profile"]["test"]:
                target = message["target"]
                programs["lib" if target["kind"] == ["lib"] else target["name"]] = message["executable"]
        self.keep("programs.json", programs)

    def cover(self, *targets):
        """Notes which mutants each test reaches, and how long it takes.

        Tests that were noted before are left out, but those of the targets that are named are not.
        """
        programs = self.read("programs.json")
        covered = [test for test in self.read("covered.json", []) if test["target"] not in targets]
        known = {(test["target"], test["name"]) for test in covered}
        tests = []
        for target, program in programs.items():
            ignored = self.names(program, "--ignored")
            tests += [(target, name) for name in self.names(program) if name not in ignored]

        def note(test):
            covered.append(self.cover_one(programs, *test))
            if len(covered) % 20 == 0:
                self.keep("covered.json", list(covered))

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(note, [test for test in tests if test not in known]))
        for test in covered:
            if test["code"] != 0:
                print("fails without a mutant, or takes too long:", test["target"], test["name"])
        self.keep("covered.json", covered)
        print(len(covered), "tests,", round(sum(test["seconds"] for test in covered)), "s")

    def names(self, program, *more):
        arguments = [program, "--list", "--format", "terse", *more]
        done = subprocess.run(arguments, cwd=self.tree, env=self.environment, capture_output=True, text=True)
        return [line[:-6] for line in done.stdout.splitlines() if line.endswith(": test")]

    def cover_one(self, programs, target, name):
        path = self.folder / "reached" / f"{target}-{name.replace('::', '-')}"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        begin = time.time()
        fails = self.execute(programs[target], [name], 2 * LONG, COVERED=str(path)) != ""
        reached = sorted(set(map(int, path.read_text().split()))) if path.exists() else []
        seconds = time.time() - begin
        return dict(target=target, name=name, code=int(fails), seconds=seconds, reached=reached)

    def execute(self, program, names, seconds, **environment):
        """Runs tests of one program. Returns the first that fails, or takes too long; or "".

        If the program crashes, nobody knows which it was, and the first is named.
        """
        process = subprocess.Popen(
            [program, "--exact", *names, "--test-threads=1", "-q"],
            cwd=self.tree,
            env=dict(self.environment, **environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
        )
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return names[0]
        if process.returncode == 0:
            return ""
        failures = output.decode(errors="replace").rpartition("failures:")[2].split()
        return next((name for name in names if name in failures), names[0])

    def test(self, only=""):
        """Runs each mutant that has not run yet. `only` is a part of the names of files."""
        results = self.read("results.json", {})
        self.run_all(lambda mutant: mutant["name"] not in results and only in mutant["file"], SHORT)

    def again(self, only=""):
        """Runs those that no test has noticed once more, with longer tests too."""
        results = self.read("results.json", {})
        self.run_all(lambda mutant: results.get(mutant["name"]) == "" and only in mutant["file"], LONG)

    def run_all(self, which, limit):
        programs, results = self.read("programs.json"), self.read("results.json", {})
        reaching = defaultdict(list)
        for test in sorted(self.read("covered.json"), key=lambda test: test["seconds"]):
            if test["code"] == 0 and test["seconds"] <= limit:
                for id in test["reached"]:
                    reaching[id].append(test)
        mutants = self.read("mutants.json")
        worth = worth_of_tests(mutants, reaching)
        mutants = [mutant for mutant in mutants if which(mutant)]
        killers, begin, count = defaultdict(list), time.time(), 0

        def run(mutant):
            nonlocal count
            file, of_file = mutant["file"], killers[mutant["file"]]
            rank = {name: place for place, name in enumerate(of_file[:3])}

            def order(test):
                name = name_of(test)
                value = 2 * worth[file, mutant["function"]][name] + worth[file][name]
                return rank.get(name, len(rank)), -value / (0.4 + test["seconds"])

            tests = sorted(reaching[mutant["id"]], key=order)
            results[mutant["name"]] = found = self.fails(programs, mutant["id"], tests)
            if found in of_file:
                of_file.remove(found)
            if found:
                of_file.insert(0, found)
            count += 1
            if count % 50 == 0:
                print(count, "of", len(mutants), round(time.time() - begin), "s", flush=True)
                self.keep("results.json", dict(results))

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(run, mutants))
        self.keep("results.json", results)

    def fails(self, programs, id, tests):
        """Returns the test that notices a mutant, or ""."""
        size = 4
        while tests:
            batch, tests, size = tests[:size], tests[size:], min(2 * size, 64)
            by_target = defaultdict(list)
            for test in batch:
                by_target[test["target"]].append(test)
            for target, group in by_target.items():
                seconds = 5 + 5 * sum(test["seconds"] for test in group)
                names = [test["name"] for test in group]
                if failed := self.execute(programs[target], names, seconds, MUTANT=str(id)):
                    return f"{target} {failed}"
        return ""

    def report(self, survivors=""):
        """Prints the score of each module and, if asked for, every survivor."""
        results, equivalent = self.read("results.json"), read_equivalent()
        reached = {id for test in self.read("covered.json") for id in test["reached"]}
        mutants = self.read("mutants.json")
        names = {mutant["name"] for mutant in mutants}
        for name in equivalent:
            if name not in names:
                print("no such mutant:", name)
            elif results.get(name):
                print("noticed, so not equivalent:", name, "by", results[name])
        table = defaultdict(Counter)
        for mutant in mutants:
            result = results.get(mutant["name"])
            if result is None:
                state = "not run"
            elif result:
                state = "noticed"
            else:
                state = "equivalent" if mutant["name"] in equivalent else "missed"
            for row in (module(mutant["file"]), "all"):
                table[row][state] += 1
            if state == "missed" and survivors in mutant["file"] and survivors:
                mark = "" if mutant["id"] in reached else " NOT REACHED"
                print(f'{mutant["id"]} line {mutant["line"]}: {mutant["name"]}{mark}')
        print(f'{"module":28} {"mutants":>8} {"noticed":>8} {"equivalent":>10} {"missed":>7} {"not run":>7} score')
        for row, states in sorted(table.items()):
            judged = states["noticed"] + states["missed"]
            score = f'{100 * states["noticed"] / judged:5.1f} %' if judged else "-"
            print(f'{row:28} {sum(states.values()):8} {states["noticed"]:8} {states["equivalent"]:10} '
                  f'{states["missed"]:7} {states["not run"]:7} {score}')


def name_of(test):
    return f'{test["target"]} {test["name"]}'


def worth_of_tests(mutants, reaching):
    """For each file, and for each function in it: how much each test is worth there.

    A test that reaches what few others reach was written for it.
    """
    worth = defaultdict(Counter)
    for mutant in mutants:
        tests = reaching[mutant["id"]]
        for test in tests:
            for place in (mutant["file"], (mutant["file"], mutant["function"])):
                worth[place][name_of(test)] += 1 / len(tests)
    return worth


def module(file):
    """The row of the table: `manager/groups`, `handshake/case`, `cert`."""
    parts = file.removesuffix(".rs").split("/")[1:]
    deep = parts[0] in ("manager", "handshake") and len(parts) > 2
    return "/".join(parts[:2] if deep else parts[:1])


def read_equivalent():
    """The names in equivalent.txt, each below a line that gives the reason."""
    lines = (HERE / "equivalent.txt").read_text().splitlines()
    return {line for line in lines if line.startswith("src/")}


def write(path, text):
    """Writes what has changed."""
    text = text if isinstance(text, bytes) else text.encode()
    if not path.exists() or path.read_bytes() != text:
        path.write_bytes(text)


def blamed(error, mutants):
    """The mutants that an error of the compiler is due to."""
    spans = sorted(all_spans(error), key=lambda span: not span["is_primary"])
    for span in spans:
        begin, end = span["byte_start"], span["byte_end"]
        of_file = [mutant for mutant in mutants if mutant.file == span["file_name"]]
        inside = [m for m in of_file if m.alternative[0] <= begin and end <= m.alternative[1]]
        inside = inside or [m for m in of_file if begin <= m.alternative[0] - 30 and m.alternative[1] <= end]
        if inside:
            # The innermost alone: an outer alternative holds no other.
            return {inside[0].name} if len(inside) == 1 else {mutant.name for mutant in inside}
    for span in spans:
        around = [m for m in mutants if m.file == span["file_name"]
                  and m.region[0] <= span["byte_start"] and span["byte_end"] <= m.region[1]]
        if around:
            size = min(mutant.region[1] - mutant.region[0] for mutant in around)
            return {m.name for m in around if m.region[1] - m.region[0] == size}
    # A borrow lasts longer where the statement that ends it, here or in the lines below, may be left
    # out.
    if not spans:
        return set()
    spans = [span for span in spans if span["file_name"] == spans[0]["file_name"]]
    begin = min(span["byte_start"] for span in spans)
    end = max(span["byte_end"] for span in spans) + 200
    return {
        m.name for m in mutants
        if m.file == spans[0]["file_name"] and m.change.startswith("without ")
        and begin <= m.alternative[0] <= end
    }


def all_spans(error):
    for span in error["spans"]:
        yield span
        # Where a constant function was evaluated.
    for child in error["children"]:
        for span in child["spans"]:
            yield dict(span, is_primary=False)


def main():
    project, folder, step, *arguments = sys.argv[1:]
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    getattr(Run(project, folder), step)(*arguments)


if __name__ == "__main__":
    main()
