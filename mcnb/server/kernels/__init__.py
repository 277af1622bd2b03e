"""The kernels that compute a server's runs: its own, and notebooks' that requests name.

================  ==========================================================================
``kernels``       Kernels: which kernels there are, and starting one
``link``          KernelLink: one kernel as the server sees it
``order``         KernelOrder: what a run is to do; RunListener: who is told of it
``followed``      one run at a kernel: its events in order, nothing twice, nothing lost
``patience``      when to ask again about what is not heard of
``connection``    the connection to a kernel: what comes is routed to who waits for it
``channels``      how messages get to a kernel and back
``sockets``       channels that are sockets
``web_socket``    channels that are the web socket of a gateway
``gateway``       what a gateway says, in our words
``leftovers``     shutting kernels down, also those that cannot be reached for a while
``reaching``      from a kernel to a link: until its runtime has answered
``vitals``        whether a kernel is alive
================  ==========================================================================
"""

from mcnb.server.kernels.kernels import Kernels
from mcnb.server.kernels.link import KernelLink
from mcnb.server.kernels.order import KernelOrder, RunListener

__all__ = ["KernelLink", "KernelOrder", "Kernels", "RunListener"]
