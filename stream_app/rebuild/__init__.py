"""A second generation of the ledger, built from the events topic beside the one that serves, and its taking over.

Steps, and what a kill between two of them means: each is found done, or done again, by the next run.
1. The generation is told of as building (topic of generations); with another number of partitions the events are copied
   into a topic of its own.
2. With `--from-sources` the source topics are read again into the events topic: records that an older version kept less
   of win over themselves.
3. The new generation applies the events topic from its start, muted: changelog and position only.
4. Caught up, it fences the serving generation: takes its transactional ids, and leaves a mark in the row of each
   position.
5. It applies what the serving generation had applied. What that shows and this one does not have becomes zeros, cells
   of its own, and gets tombstones where its period is not kept.
6. It is told of as serving. Workers begin anew with it, and take partitions over.
7. Results topics, Redis and ClickHouse get all of its cells, with versions above those of before.
Between 4 and 6 nobody serves: some hundred milliseconds, or until the next run.
"""
