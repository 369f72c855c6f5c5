import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;

/**
 * The peer in Flink SQL, in one process: FlinkPeer SERVERS SESSIONS PAYMENTS OUTPUT STATE_DIR.
 *
 * The first event of an id counts; distinct customers by COUNT(DISTINCT). RocksDB, checkpoints each 10 s, and mini-batches of a second, which save most
 * of the work on sums that change often. At least once: upserts make up for it in the output.
 */
public class FlinkPeer {
  static String source(String servers, String topic, String group) {
    return "WITH ('connector'='kafka','topic'='" + topic + "','properties.bootstrap.servers'='" + servers + "','properties.group.id'='" + group
        + "','scan.startup.mode'='earliest-offset','format'='json')";
  }

  static String sink(String servers, String topic) {
    return "WITH ('connector'='upsert-kafka','topic'='" + topic + "','properties.bootstrap.servers'='" + servers
        + "','properties.compression.type'='lz4','key.format'='json','value.format'='json','sink.delivery-guarantee'='at-least-once')";
  }

  static String once(String table, String id, String columns) {
    return "SELECT " + columns + " FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY " + id + " ORDER BY arrived) AS place FROM " + table + ") WHERE place = 1";
  }

  static final String GROUPS = " CROSS JOIN UNNEST(ARRAY_DISTINCT(ARRAY_APPEND(group_ids, 'ALL'))) AS groups_of(g)";

  public static void main(String[] args) throws Exception {
    String servers = args[0], sessions = args[1], payments = args[2], output = args[3], state = args[4];
    Configuration config = new Configuration();
    config.setString("parallelism.default", "2");
    config.setString("table.local-time-zone", "UTC");
    config.setString("table.exec.mini-batch.enabled", "true");
    config.setString("table.exec.mini-batch.allow-latency", "1 s");
    config.setString("table.exec.mini-batch.size", "20000");
    config.setString("pipeline.object-reuse", "true");
    config.setString("state.backend.type", "rocksdb");
    config.setString("taskmanager.memory.managed.size", "1g");
    config.setString("taskmanager.memory.network.min", "128m");
    config.setString("taskmanager.memory.network.max", "128m");
    config.setString("execution.checkpointing.incremental", "true");
    config.setString("execution.checkpointing.interval", "10 s");
    config.setString("execution.checkpointing.dir", "file://" + state);
    TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(config).build());
    tables.executeSql("CREATE TABLE sessions (session_id STRING, operator_id STRING, customer_id STRING, group_ids ARRAY<STRING>, started_at BIGINT, "
        + "arrived AS PROCTIME()) " + source(servers, sessions, output));
    tables.executeSql("CREATE TABLE payments (payment_id STRING, operator_id STRING, customer_id STRING, group_ids ARRAY<STRING>, amount_received BIGINT, "
        + "discount_amount BIGINT, paid_at BIGINT, arrived AS PROCTIME()) " + source(servers, payments, output));
    tables.executeSql("CREATE TABLE paid (op STRING, g STRING, bucket STRING, amount BIGINT, discount BIGINT, n BIGINT, customers BIGINT, "
        + "PRIMARY KEY (op, g, bucket) NOT ENFORCED) " + sink(servers, output + ".payments"));
    tables.executeSql("CREATE TABLE came (op STRING, g STRING, bucket STRING, n BIGINT, customers BIGINT, PRIMARY KEY (op, g, bucket) NOT ENFORCED) "
        + sink(servers, output + ".sessions"));
    tables.executeSql("CREATE TABLE slots (op STRING, g STRING, bucket STRING, slot BIGINT, n BIGINT, PRIMARY KEY (op, g, bucket, slot) NOT ENFORCED) "
        + sink(servers, output + ".slots"));
    tables.executeSql("CREATE TEMPORARY VIEW each_session AS " + once("sessions", "session_id", "operator_id, customer_id, group_ids, started_at"));
    tables.executeSql("CREATE TEMPORARY VIEW each_payment AS "
        + once("payments", "payment_id", "operator_id, customer_id, group_ids, amount_received, discount_amount, paid_at"));
    StatementSet all = tables.createStatementSet();
    all.addInsertSql("INSERT INTO paid SELECT operator_id, g, bucket, SUM(amount_received), SUM(discount_amount), COUNT(*), COUNT(DISTINCT customer_id) FROM "
        + "(SELECT *, DATE_FORMAT(TO_TIMESTAMP_LTZ(paid_at, 3), 'yyyy-MM') AS bucket FROM each_payment" + GROUPS + ") GROUP BY operator_id, g, bucket");
    all.addInsertSql("INSERT INTO came SELECT operator_id, g, bucket, COUNT(*), COUNT(DISTINCT customer_id) FROM "
        + "(SELECT *, DATE_FORMAT(TO_TIMESTAMP_LTZ(started_at, 3), 'yyyy-MM') AS bucket FROM each_session" + GROUPS + ") GROUP BY operator_id, g, bucket");
    all.addInsertSql("INSERT INTO slots SELECT operator_id, g, bucket, slot, COUNT(*) FROM (SELECT *, DATE_FORMAT(TO_TIMESTAMP_LTZ(started_at, 3), 'yyyy-MM-dd') "
        + "AS bucket, (started_at - started_at / 86400000 * 86400000) / 1800000 AS slot FROM each_session" + GROUPS + ") GROUP BY operator_id, g, bucket, slot");
    all.execute().await();
  }
}
