import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.lang.management.ManagementFactory;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Confluent's Parallel Consumer in the consumer bench, as consumer-process.ts is for the other contestants: reads the topic, measures, prints the
 * result as JSON, and ends.
 * Arguments: brokers, topic, group, records at once, records that it reads ahead (0: its default), duration of the handler, of the warm-up and of
 * the measurement (ms).
 */
class ConsumerProcess {
  public static void main(String[] args) throws Exception {
    String brokers = args[0];
    String topic = args[1];
    String group = args[2];
    int maxConcurrency = Integer.parseInt(args[3]);
    int readAhead = Integer.parseInt(args[4]);
    SlowModel model = new SlowModel(Long.parseLong(args[5]));
    long warmUpMs = Long.parseLong(args[6]);
    long measuredMs = Long.parseLong(args[7]);

    Properties settings = new Properties();
    settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    settings.put(ConsumerConfig.GROUP_ID_CONFIG, group);
    settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false"); // the Parallel Consumer commits
    var consumer = new KafkaConsumer<String, String>(settings, new StringDeserializer(), new StringDeserializer());
    var options =
        ParallelConsumerOptions.<String, String>builder()
            .ordering(ProcessingOrder.KEY)
            .maxConcurrency(maxConcurrency)
            .consumer(consumer);
    if (readAhead > 0) options.messageBufferSize(readAhead);
    var processor = ParallelStreamProcessor.createEosStreamProcessor(options.build());
    processor.subscribe(List.of(topic));
    processor.poll(context -> model.ask(context.value()));

    model.started.await();
    Thread.sleep(warmUpMs);
    int handledBefore = model.handled();
    long cpuBefore = cpuNanos();
    long startedAt = System.nanoTime();
    Thread.sleep(measuredMs);
    double seconds = (System.nanoTime() - startedAt) / 1e9;
    double perSecond = (model.handled() - handledBefore) / seconds;
    double cpuMillisPerSecond = (cpuNanos() - cpuBefore) / 1e6 / seconds;
    System.out.println(model.result(perSecond, cpuMillisPerSecond));
    Runtime.getRuntime().halt(0); // without the records that are at work
  }

  private static long cpuNanos() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
  }

  /** Waits as long as a model call takes and counts violations of the order per customer, by the rules of consumer-process.ts. */
  private static class SlowModel {
    private static final Pattern CUSTOMER = Pattern.compile("\"customer\":\"([^\"]*)\"");
    private static final Pattern NUMBER = Pattern.compile("\"n\":(\\d+)");

    final CountDownLatch started = new CountDownLatch(1);
    private final long latencyMs;
    private final Set<String> atWork = new HashSet<>();
    private final Map<String, Integer> last = new HashMap<>();
    private int handled = 0;
    private int orderViolations = 0;
    private int repeats = 0;

    SlowModel(long latencyMs) {
      this.latencyMs = latencyMs;
    }

    void ask(String value) {
      String customer = field(CUSTOMER, value);
      begin(customer, Integer.parseInt(field(NUMBER, value)));
      try {
        Thread.sleep(latencyMs);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
      end(customer);
    }

    private synchronized void begin(String customer, int n) {
      started.countDown();
      int before = last.getOrDefault(customer, -1);
      if (atWork.contains(customer) || n > before + 1) orderViolations += 1;
      else if (n <= before) repeats += 1;
      atWork.add(customer);
      last.put(customer, Math.max(before, n));
    }

    private synchronized void end(String customer) {
      atWork.remove(customer);
      handled += 1;
    }

    synchronized int handled() {
      return handled;
    }

    synchronized String result(double perSecond, double cpuMillisPerSecond) {
      return "{\"perSecond\":%s,\"orderViolations\":%d,\"repeats\":%d,\"cpuMillisPerSecond\":%s}"
          .formatted(perSecond, orderViolations, repeats, cpuMillisPerSecond);
    }

    private static String field(Pattern pattern, String value) {
      Matcher matcher = pattern.matcher(value);
      if (!matcher.find()) throw new IllegalArgumentException("no " + pattern + " in " + value);
      return matcher.group(1);
    }
  }
}
