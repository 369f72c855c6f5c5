import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A local view of the results that stays right over restarts, tombstones and records out of order, in one file.
 *
 * <pre>
 * KAFKA_BOOTSTRAP_SERVERS=... java -cp ... View view.json crm-stats.as-of.v1 crm-stats.monthly.v1 crm-stats.half-hour.v1
 * </pre>
 *
 * <ul>
 * <li>The view and the offsets up to which it holds are stored together: here as one file that is replaced as a whole, in a database in one
 * transaction. There is nothing to commit to Kafka, and no consumer group: each process that wants a view reads all partitions.
 * <li>Of a key the highest version counts, of values and of tombstones alike; both have it in the header ce_id, which is key@version. What comes
 * twice, or late, changes nothing.
 * <li>An as-of is promised by a record of its topic, and holds for the view once it has all that was written before. That is up to the high
 * watermarks: the last stable offset would leave out what is committed behind another producer's open transaction.
 * </ul>
 */
public final class View {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** Tombstones are kept for delete.retention.ms, a day: a view that did not read for longer may have missed some, and is made anew. */
    private static final Duration STORED_MAX = Duration.ofHours(20);

    private final Path file;
    private final String asOf;
    private final List<String> topics;
    /** view (topic, key, value), versions (topic, key), offsets (topic, partition), promised as-of (key, value). */
    private final ObjectNode state;

    private View(Path file, List<String> topics) throws IOException {
        this.file = file;
        this.topics = topics;
        asOf = topics.get(0);
        boolean isStored = Files.exists(file) && Files.getLastModifiedTime(file).toInstant().isAfter(Instant.now().minus(STORED_MAX));
        state = isStored ? (ObjectNode) JSON.readTree(Files.readAllBytes(file)) : JSON.createObjectNode();
        state.withObjectProperty("promised");
        for (String part : List.of("view", "versions", "offsets")) {
            topics.forEach(topic -> part(part, topic));
        }
    }

    private ObjectNode part(String name, String topic) {
        return state.withObjectProperty(name).withObjectProperty(topic);
    }

    private long offset(TopicPartition at) {
        return part("offsets", at.topic()).path(String.valueOf(at.partition())).asLong(0);
    }

    /** Replace the stored state: whoever kills this process finds the old one or the new one. */
    private void save() throws IOException {
        Path beside = file.resolveSibling(file.getFileName() + ".new");
        try (FileChannel out = FileChannel.open(
                beside, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            for (ByteBuffer bytes = ByteBuffer.wrap(JSON.writeValueAsBytes(state)); bytes.hasRemaining(); ) {
                out.write(bytes);
            }
            out.force(true);
        }
        Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    /** Apply a record. */
    private void take(ConsumerRecord<String, String> record) throws IOException {
        JsonNode value = record.value() == null ? null : JSON.readTree(record.value());
        if (record.topic().equals(asOf)) {
            ObjectNode promised = state.withObjectProperty("promised");
            if (value.get("asOf").asText().compareTo(promised.path(record.key()).path("asOf").asText("")) > 0) {
                promised.set(record.key(), value);
            }
            return;
        }
        String id = new String(record.headers().lastHeader("ce_id").value(), StandardCharsets.UTF_8);
        long version = Long.parseLong(id.substring(id.lastIndexOf('@') + 1));
        ObjectNode versions = part("versions", record.topic());
        if (version > versions.path(record.key()).asLong(-1)) {
            versions.put(record.key(), version); // a tombstone's, too: what is older must not come back
            if (value == null) {
                part("view", record.topic()).remove(record.key());
            } else {
                part("view", record.topic()).set(record.key(), value);
            }
        }
    }

    /** Follow the topics until the process is killed. */
    private void run(Map<String, Object> kafka) throws Exception {
        Map<String, Object> settings = new HashMap<>(kafka);
        settings.put("enable.auto.commit", false);
        settings.put("isolation.level", "read_committed");
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", 10_000); // between two times that the state is stored
        try (Admin admin = Admin.create(kafka);
                KafkaConsumer<String, String> consumer =
                        new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            ObjectNode promised = part("view", asOf);
            Map<TopicPartition, Long> ends = Map.of();
            while (true) {
                if (ends.entrySet().stream().allMatch(end -> offset(end.getKey()) >= end.getValue())) {
                    state.withObjectProperty("view").set(asOf, promised); // all that was there when they were promised is in the view
                    promised = state.withObjectProperty("promised").deepCopy();
                    assign(admin, consumer);
                    ends = highWatermarks(admin, consumer);
                }
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    take(record);
                }
                for (TopicPartition at : consumer.assignment()) { // behind the marks of transactions, which are no records
                    part("offsets", at.topic()).put(String.valueOf(at.partition()), consumer.position(at));
                }
                save();
            }
        }
    }

    /** Read all partitions: those known at the start, and later those by which a topic grows. */
    private void assign(Admin admin, KafkaConsumer<String, String> consumer) throws Exception {
        List<TopicPartition> found = new ArrayList<>();
        admin.describeTopics(topics).allTopicNames().get()
                .forEach((name, topic) -> topic.partitions().forEach(p -> found.add(new TopicPartition(name, p.partition()))));
        if (found.size() > consumer.assignment().size()) {
            consumer.assign(found);
            found.forEach(at -> consumer.seek(at, offset(at)));
        }
    }

    /** The ends of the results topics as they are now. */
    private Map<TopicPartition, Long> highWatermarks(Admin admin, KafkaConsumer<String, String> consumer) throws Exception {
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        consumer.assignment().stream().filter(at -> !at.topic().equals(asOf)).forEach(at -> latest.put(at, OffsetSpec.latest()));
        Map<TopicPartition, Long> ends = new HashMap<>();
        admin.listOffsets(latest, new ListOffsetsOptions(IsolationLevel.READ_UNCOMMITTED)).all().get()
                .forEach((at, end) -> ends.put(at, end.offset()));
        return ends;
    }

    public static void main(String[] arguments) throws Exception {
        List<String> topics = Arrays.asList(arguments).subList(1, arguments.length);
        // and security.protocol, sasl.... where there is need
        new View(Path.of(arguments[0]), topics).run(Map.of("bootstrap.servers", System.getenv("KAFKA_BOOTSTRAP_SERVERS")));
    }
}
