"""Start a kernel behind walls: jupyter_client's local provisioner with our command and our environment."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Instance

from course.grading.sandboxes.choose import command, environment, spec
from course.grading.template import Forked, Template
from course.model import Confinement, Limits

SOON = 0.005  # seconds between two looks at a kernel that was killed


class SandboxProvisioner(LocalProvisioner):
    """Runs the kernel behind the chosen walls, on sockets in its own folder."""

    base = Instance(Path, help="the kernel's folder, from `kernel_folder`")
    walls = Instance(Confinement, help="which walls")
    limits = Instance(Limits, help="how much the kernel may use")
    questions = Instance(socket.socket, help="the kernel's end of the socket that it is asked over")
    template = Instance(
        Template, allow_none=True, help="what the kernel is forked from; None for a cold start"
    )

    @property
    def orphaned(self) -> bool:
        """Whether the kernel ended because its template did."""
        return isinstance(self.process, Forked) and self.process.orphaned

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Write the connection file and what the launcher has to know."""
        kwargs = await super().pre_launch(**kwargs)
        words = spec(self.walls.name, self.base, self.limits) | {"questions": self.questions.fileno()}
        (self.base / "spec.json").write_text(json.dumps(words))
        # A template's kernel needs no command, and to look up all that is readable takes a while.
        argv = [] if self.template else command(self.walls.name, self.base, self.limits)
        return {**kwargs, "cmd": argv, "env": environment(self.base), "cwd": str(self.base)}

    async def wait(self) -> int | None:
        """Wait for the kernel's end, which takes milliseconds; jupyter_client looks ten times a second."""
        while await self.poll() is None:
            await asyncio.sleep(SOON)
        return await super().wait()

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel, or let the template fork it."""
        if self.template is None:
            return await super().launch_kernel(cmd, pass_fds=[self.questions.fileno()], **kwargs)
        forked: Any = await self.template.fork(self.base, self.limits, kwargs["stdout"], self.questions)
        self.process, self.pid = forked, forked.pid
        return self.connection_info
