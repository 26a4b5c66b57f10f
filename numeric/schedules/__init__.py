"""How a kernel goes through its arrays: in blocks, on threads. What it computes stands in the derivation; a schedule changes the order.

A schedule that uses an identity names its theorem; one file for each schedule, all in :data:`kernelproof.numeric.schedules.plan.SCHEDULES`.
"""
