"""How fast the library is, beside a reference that the same run measures.

Machines differ and are shared, so what is held to a floor is a ratio. CPU time is what a core
spends on the work; wall time stands beside it and says how long it took among everything else.
"""
