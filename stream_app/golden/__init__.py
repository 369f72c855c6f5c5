"""Golden records: results that show a reader all that it must cope with, and the view that is right in the end, for the CI of who reads results.

`cases` (what there is to cope with) > `records` (as records of the topics, pure) > `view` (what is right, and how another view differs, pure) >
`send` (to Kafka). Invariant: records are made by the code that makes results, and go to topics that hold nothing else.
"""
