import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The peer in Kafka Streams: KafkaStreamsPeer SERVERS SESSIONS PAYMENTS OUTPUT STATE_DIR rocksdb|memory at_least_once|exactly_once_v2.
 *
 * Before the topics are keyed anew by group and month, a processor drops an id that was seen and finds out whether a customer is new in a month: both
 * need all events of a customer in one place, as they are. Sums then are aggregates. Caches make one record a key and commit of the output.
 */
public class KafkaStreamsPeer {
  static final byte[] SEEN = {1};
  static final long DAY_MS = 86_400_000L;
  static final long HALF_HOUR_MS = 1_800_000L;
  static final ObjectMapper JSON = new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);
  static final ObjectReader PAYMENT = JSON.readerFor(Payment.class);
  static final ObjectReader SESSION = JSON.readerFor(Session.class);
  static final ConcurrentHashMap<Long, String> DATES = new ConcurrentHashMap<>();

  static boolean inMemory;

  public static class Payment {
    public String payment_id, operator_id, customer_id;
    public String[] group_ids;
    public long amount_received, discount_amount, paid_at;
  }

  public static class Session {
    public String session_id, operator_id, customer_id;
    public String[] group_ids;
    public long started_at;
  }

  /** What an event adds: to a month of each of its groups, and, of a session, to a half-hour. */
  record Event(String id, String operator, String customer, String[] groups, long atMs, long[] adds) {}

  static Event payment(byte[] value) {
    try {
      Payment p = PAYMENT.readValue(value);
      return new Event(p.payment_id, p.operator_id, p.customer_id, p.group_ids, p.paid_at, new long[] {p.amount_received, p.discount_amount, 1});
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Event session(byte[] value) {
    try {
      Session s = SESSION.readValue(value);
      return new Event(s.session_id, s.operator_id, s.customer_id, s.group_ids, s.started_at, new long[] {1});
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String date(long atMs) {
    return DATES.computeIfAbsent(Math.floorDiv(atMs, DAY_MS), day -> LocalDate.ofEpochDay(day).toString());
  }

  static List<String> groups(String[] own) {
    List<String> groups = new ArrayList<>(own.length + 1);
    for (String group : own) if (!groups.contains(group)) groups.add(group);
    groups.add("ALL");
    return groups;
  }

  static class Longs implements Serializer<long[]>, Deserializer<long[]> {
    @Override
    public byte[] serialize(String topic, long[] values) {
      if (values == null) return null;
      ByteBuffer buffer = ByteBuffer.allocate(Long.BYTES * values.length);
      for (long value : values) buffer.putLong(value);
      return buffer.array();
    }

    @Override
    public long[] deserialize(String topic, byte[] bytes) {
      if (bytes == null) return null;
      long[] values = new long[bytes.length / Long.BYTES];
      ByteBuffer.wrap(bytes).asLongBuffer().get(values);
      return values;
    }

    @Override
    public void configure(java.util.Map<String, ?> configs, boolean isKey) {}

    @Override
    public void close() {}
  }

  static Serde<long[]> longs() {
    return Serdes.serdeFrom(new Longs(), new Longs());
  }

  static KeyValueBytesStoreSupplier store(String name) {
    return inMemory ? Stores.inMemoryKeyValueStore(name) : Stores.persistentKeyValueStore(name);
  }

  static StoreBuilder<KeyValueStore<String, byte[]>> names(String name) {
    return Stores.keyValueStoreBuilder(store(name), Serdes.String(), Serdes.ByteArray());
  }

  /** Events whose id was not seen before. */
  static ProcessorSupplier<String, byte[], String, Event> once(String seen, Function<byte[], Event> parse) {
    return new ProcessorSupplier<>() {
      @Override
      public Set<StoreBuilder<?>> stores() {
        return Set.of(names(seen));
      }

      @Override
      public Processor<String, byte[], String, Event> get() {
        return new Processor<>() {
          private ProcessorContext<String, Event> context;
          private KeyValueStore<String, byte[]> ids;

          @Override
          public void init(ProcessorContext<String, Event> given) {
            context = given;
            ids = given.getStateStore(seen);
          }

          @Override
          public void process(Record<String, byte[]> record) {
            Event event = parse.apply(record.value());
            if (ids.putIfAbsent(event.id(), SEEN) == null) context.forward(record.withValue(event));
          }
        };
      }
    };
  }

  /** What each event adds to its groups' months, and 1 where its customer is new there. */
  static ProcessorSupplier<String, Event, String, long[]> monthly(String customers) {
    return new ProcessorSupplier<>() {
      @Override
      public Set<StoreBuilder<?>> stores() {
        return Set.of(names(customers));
      }

      @Override
      public Processor<String, Event, String, long[]> get() {
        return new Processor<>() {
          private ProcessorContext<String, long[]> context;
          private KeyValueStore<String, byte[]> known;

          @Override
          public void init(ProcessorContext<String, long[]> given) {
            context = given;
            known = given.getStateStore(customers);
          }

          @Override
          public void process(Record<String, Event> record) {
            Event event = record.value();
            String month = date(event.atMs()).substring(0, 7);
            for (String group : groups(event.groups())) {
              String key = event.operator() + "|" + group + "|" + month;
              long[] adds = java.util.Arrays.copyOf(event.adds(), event.adds().length + 1);
              adds[adds.length - 1] = known.putIfAbsent(key + "|" + event.customer(), SEEN) == null ? 1 : 0;
              context.forward(record.withKey(key).withValue(adds));
            }
          }
        };
      }
    };
  }

  static KStream<String, long[]> halfHours(KStream<String, Event> sessions) {
    return sessions.flatMap((key, event) -> {
      String suffix = "|" + date(event.atMs()) + "|" + Math.floorMod(event.atMs(), DAY_MS) / HALF_HOUR_MS;
      List<org.apache.kafka.streams.KeyValue<String, long[]>> out = new ArrayList<>(2);
      for (String group : groups(event.groups())) out.add(org.apache.kafka.streams.KeyValue.pair(event.operator() + "|" + group + suffix, new long[] {1}));
      return out;
    });
  }

  static void summed(KStream<String, long[]> adds, String name, String topic, String... fields) {
    Materialized<String, long[], KeyValueStore<Bytes, byte[]>> sums =
        Materialized.<String, long[]>as(store(name + "-sums")).withKeySerde(Serdes.String()).withValueSerde(longs());
    adds.groupByKey(Grouped.with(name, Serdes.String(), longs()))
        .aggregate(() -> new long[fields.length], (key, more, before) -> {
          long[] sum = new long[before.length];
          for (int i = 0; i < sum.length; i++) sum[i] = before[i] + more[i];
          return sum;
        }, sums)
        .toStream()
        .mapValues(sum -> {
          StringBuilder json = new StringBuilder("{");
          for (int i = 0; i < fields.length; i++) json.append(i == 0 ? "\"" : ",\"").append(fields[i]).append("\":").append(sum[i]);
          return json.append('}').toString();
        })
        .to(topic, Produced.with(Serdes.String(), Serdes.String()));
  }

  public static void main(String[] args) {
    String servers = args[0], sessions = args[1], payments = args[2], output = args[3], stateDir = args[4], guarantee = args[6];
    inMemory = args[5].equals("memory");
    StreamsBuilder builder = new StreamsBuilder();
    Consumed<String, byte[]> raw = Consumed.with(Serdes.String(), Serdes.ByteArray());
    KStream<String, Event> paid = builder.stream(payments, raw).process(once("payments-seen", KafkaStreamsPeer::payment));
    KStream<String, Event> came = builder.stream(sessions, raw).process(once("sessions-seen", KafkaStreamsPeer::session));
    summed(paid.process(monthly("payers")), "payments", output + ".payments", "amount", "discount", "n", "customers");
    summed(came.process(monthly("chargers")), "sessions", output + ".sessions", "n", "customers");
    summed(halfHours(came), "slots", output + ".slots", "n");

    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, output);
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
    config.put(StreamsConfig.STATE_DIR_CONFIG, stateDir);
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, guarantee);
    config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
    config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
    config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    config.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    config.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
    KafkaStreams streams = new KafkaStreams(builder.build(config), config);
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      Runtime.getRuntime().halt(1);
      return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }
}
