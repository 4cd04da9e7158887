"""Work that takes longer than a request: kept in the cache tier, done by the workers.

The record of a job (`store`) is the truth. A message of Celery (`broker`) is only the hint that
there is something to do: one that is lost is sent again (`keeper`), one that comes twice finds a
job that is taken or ended. So a worker may be killed at any moment, and the cache may fail over.
"""
