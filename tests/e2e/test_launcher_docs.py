"""docs/launcher.md says what rusternetes-ctl says of itself."""
import re


def test_the_table_is_what_help_says(context):
    done = context.run(context.script("launcher-docs"), "--check", "--bin", context.binary("rusternetes-ctl").rsplit("/", 1)[0], check=False)
    assert done.returncode == 0, done.stderr
    # The script has understood the program: each word that completion knows has its line.
    words = context.run(context.binary("rusternetes-ctl"), "--help").stdout.split("\nCommands:\n")[1].split("\n\n")[0]
    with open(f"{context.root}/docs/launcher.md", encoding="utf-8") as file:
        told = set(re.findall(r"^\| `([a-z-]+)", file.read(), re.MULTILINE))
    assert told == set(re.findall(r"^  ([a-z-]+) ", words, re.MULTILINE)), told
