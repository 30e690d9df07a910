"""Start a kernel behind walls: jupyter_client's local provisioner with our command and our environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Instance

from course.grading.sandboxes.choose import command, environment, spec
from course.model import Confinement, Limits


class SandboxProvisioner(LocalProvisioner):
    """Runs the kernel behind the chosen walls, on sockets in its own folder."""

    base = Instance(Path, help="the kernel's folder, from `kernel_folder`")
    walls = Instance(Confinement, help="which walls")
    limits = Instance(Limits, help="how much the kernel may use")

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Write the connection file and what the launcher has to know."""
        kwargs = await super().pre_launch(**kwargs)
        words = spec(self.walls.name, self.base, self.limits)
        (self.base / "spec.json").write_text(json.dumps(words))
        argv = command(self.walls.name, self.base, self.limits)
        return {**kwargs, "cmd": argv, "env": environment(self.base), "cwd": str(self.base)}
