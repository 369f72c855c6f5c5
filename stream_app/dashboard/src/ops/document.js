/**
 * What `/ops/status` answers. Names are those of the API outside, and the monitor's inside `status`; a monitor of another release may leave some out.
 *
 * @typedef {'ingest' | 'ledger' | 'as_of' | 'topics' | 'redis' | 'clickhouse' | 'push'} Stage
 * @typedef {'topics' | 'redis' | 'clickhouse'} Sink
 *
 * @typedef {object} PartitionRow
 * @property {string} topic
 * @property {number} partition
 * @property {string} status
 * @property {string} reason
 * @property {number} lag_records
 * @property {number | null} lag_seconds
 * @property {number} incoming
 * @property {number} outgoing
 *
 * @typedef {object} GroupRow
 * @property {string} group
 * @property {string} status
 * @property {string} reason
 * @property {number} since_ms
 * @property {number} members
 * @property {number | null} lag_records
 * @property {number | null} lag_seconds
 * @property {number | null} catch_up_seconds
 * @property {number | null} loss_seconds
 * @property {PartitionRow[]} partitions those that are not well
 *
 * @typedef {object} ResultRow
 * @property {number} partition
 * @property {Record<Sink, number | null>} as_of_ms
 * @property {Record<Sink, number | null>} age_seconds
 * @property {number | null} oldest_seconds
 * @property {Stage | null} stage to blame
 * @property {number} operators
 *
 * @typedef {{stage: Sink, failure: string | null}} SinkState
 *
 * @typedef {object} SourceRow
 * @property {string} topic
 * @property {boolean} exists
 * @property {number | null} last_ms
 * @property {number | null} age_seconds
 * @property {number | null} per_hour
 * @property {number} missed
 * @property {boolean} is_silent
 * @property {string | null} [failure] why it can't be seen whether it exists
 *
 * @typedef {object} ProbeRow a record of the monitor's own, from append to a place
 * @property {'redis' | 'clickhouse' | 'push'} stage
 * @property {string | null} failure why the place can't be watched
 * @property {number | null} last_seconds null: the last one is lost, or none came yet
 * @property {number} last_ms
 * @property {number} lost
 * @property {number | null} p50
 * @property {number | null} p99
 * @property {number} count
 *
 * @typedef {object} LetterRow
 * @property {string} reason
 * @property {number} since_start
 * @property {number} seen
 * @property {number} last_ms
 * @property {string} example
 * @property {string} detail
 *
 * @typedef {object} RebuildRow a generation that is being built beside the one that serves
 * @property {number} generation
 * @property {string} group
 * @property {number} events_partitions
 * @property {number} members 0: its rebuild does not run
 * @property {number} lag_records
 * @property {number} records
 * @property {number | null} [rate] records a second
 * @property {number | null} [catch_up_seconds]
 *
 * @typedef {object} BrokerRow a broker of Kafka that is away
 * @property {number} broker
 * @property {string | null} address
 * @property {number} since_ms
 * @property {string[]} topics of which partitions stand still because of it
 *
 * @typedef {object} HeldRow that an open transaction keeps from being read
 * @property {string} topic
 * @property {number} partition
 * @property {number} start_offset
 * @property {number} since_ms
 * @property {number | null} producer_id null: Kafka does not say whose it is
 *
 * @typedef {object} Status
 * @property {number} now_ms
 * @property {{is_seen: boolean, looked_ms: number, failure: string | null}} kafka
 * @property {number} left_out
 * @property {GroupRow[]} groups
 * @property {ResultRow[]} [results]
 * @property {SinkState[]} [sinks]
 * @property {SourceRow[]} [sources]
 * @property {LetterRow[]} [dead_letters]
 * @property {ProbeRow[]} [probes]
 * @property {boolean} [is_push_to_blame]
 * @property {number} [generation] that serves
 * @property {RebuildRow | null} [rebuild] null: none is under way
 * @property {BrokerRow[]} [brokers] that are away
 * @property {HeldRow[]} [held] of source topics, for a while already
 * @property {Record<string, {means: string, todo: string}>} words
 *
 * @typedef {{operator: string, partition: number, oldest_seconds: number | null, stage: Stage | null}} OperatorRow
 *
 * @typedef {object} Answer
 * @property {boolean} answers
 * @property {'timeout' | 'unreachable' | 'unusable' | null} failure
 * @property {number | null} awaySeconds
 * @property {number | null} knownSeconds
 * @property {{ingest: string, ledger: string}} groups
 * @property {Status | null} status
 * @property {OperatorRow[]} operators
 */

/** @type {Sink[]} */
export const SINKS = ['redis', 'clickhouse', 'topics'];

/** The key of a stage's name. @param {Stage} stage */
export const nameOf = (stage) =>
  /** @type {const} */ ({
    ingest: 'stageIngest',
    ledger: 'stageLedger',
    as_of: 'stageAsOf',
    topics: 'stageTopics',
    redis: 'stageRedis',
    clickhouse: 'stageClickhouse',
    push: 'stagePush',
  })[stage];

/** The greatest; null if one is not known, or there is none. @param {(number | null)[]} values */
export const greatest = (values) => (values.length && !values.includes(null) ? Math.max(.../** @type {number[]} */ (values)) : null);

/** @param {SourceRow} row */
export const isBad = (row) => row.is_silent || !row.exists;

/** @typedef {'good' | 'warn' | 'bad' | 'none'} Level */

/** @param {string} status a group's or a partition's @returns {Level} */
export const levelOf = (status) => (status === 'OK' ? 'good' : status === 'WARN' ? 'warn' : status === 'UNSUPPORTED' ? 'none' : 'bad');
