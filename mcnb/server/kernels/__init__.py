"""The kernels that compute a server's runs: its own, and notebooks' that requests name.

================  ==========================================================================
``kernels``       Kernels: which kernels there are, and starting one
``link``          KernelLink: one kernel as the server sees it
``order``         KernelOrder: what a run is to do; RunListener: who is told of it
``followed``      one run at a kernel: its events in order, nothing twice, nothing lost
``patience``      when to ask again about what is not heard of
``connection``    the channels to a kernel: one reader each, which routes what comes
``reaching``      from a kernel to a link: until its runtime has answered
``vitals``        whether a kernel is alive
================  ==========================================================================
"""

from mcnb.server.kernels.kernels import Kernels
from mcnb.server.kernels.link import KernelLink
from mcnb.server.kernels.order import KernelOrder, RunListener

__all__ = ["KernelLink", "KernelOrder", "Kernels", "RunListener"]
