"""Names of all packages that the project and its tests use, without versions: for a run with the newest of each."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
requirements = [*project["dependencies"], *project["optional-dependencies"]["test"]]
print(*sorted({re.split(r"[\[<>=!~; ]", text)[0] for text in requirements}))
