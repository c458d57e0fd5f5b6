# needs: java
# version: java -version 2>&1
# Without a compiler the class is loaded from its source, which the machine compiles itself.
cat >Work.java <<'END'
import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;

public class Work {
    static long work(long seed, int scale) throws Exception {
        Map<String, List<String>> table = new TreeMap<>();
        for (int i = 0; i < 40000 * scale; i++) {
            seed = seed * 48271 % 2147483647;
            List<String> list = table.computeIfAbsent("key" + seed % 3000, key -> new LinkedList<>());
            list.add("value " + i);
            if (list.size() > 12) list.remove(0);
        }
        byte[] bytes = table.toString().getBytes();
        Deflater deflater = new Deflater();
        deflater.setInput(bytes);
        deflater.finish();
        byte[] packed = new byte[bytes.length];
        int length = deflater.deflate(packed);
        deflater.end();
        Inflater inflater = new Inflater();
        inflater.setInput(packed, 0, length);
        byte[] again = new byte[bytes.length];
        if (inflater.inflate(again) != bytes.length || !Arrays.equals(bytes, again)) throw new Exception();
        inflater.end();
        java.nio.ByteBuffer[] buffers = new java.nio.ByteBuffer[200];
        for (int i = 0; i < 200; i++) buffers[i] = java.nio.ByteBuffer.allocateDirect(i * 500);
        return bytes.length + buffers[199].capacity();
    }

    public static void main(String[] arguments) throws Exception {
        int scale = Integer.parseInt(System.getenv("SCALE"));
        ExecutorService pool = Executors.newFixedThreadPool(3);
        List<Future<Long>> answers = new ArrayList<>();
        for (int n = 1; n <= 6; n++) {
            int seed = n;
            answers.add(pool.submit(() -> work(seed, scale)));
        }
        for (Future<Long> answer : answers) System.out.println(answer.get());
        pool.shutdown();
        Object nothing = arguments.length > 5 ? "" : null;
        int caught = 0;
        for (int i = 0; i < 100000; i++) {
            // The machine finds many of these by a page fault, in a handler of its own.
            try { nothing.hashCode(); } catch (NullPointerException exception) { caught++; }
        }
        System.out.println(caught);
    }
}
END
if command -v javac >/dev/null; then javac Work.java && exec java -Xmx256m Work; fi
java -Xmx256m Work.java 2>errors || { grep -q "jdk.compiler" errors && echo "no compiler"; }
