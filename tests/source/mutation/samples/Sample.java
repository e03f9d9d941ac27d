package sample;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Made for the mutation tests: every construct that the operators know. */
public class Sample {
    private final List<String> items = new ArrayList<>();
    private int capacity;
    private boolean strict;

    public Sample(int capacity, boolean strict) {
        this.capacity = capacity;
        this.strict = strict;
    }

    /** Never more than fits. */
    public boolean add(String item, int amount) {
        if (item == null || amount <= 0) {
            throw new IllegalArgumentException("bad item " + item);
        }
        if (items.size() + amount > capacity && strict) {
            return false;
        }
        for (int i = 0; i < amount; i++) {
            items.add(item);
        }
        return true;
    }

    static int binarySearch(int[] values, int wanted) {
        int low = 0;
        int high = values.length - 1;
        while (low <= high) {
            int middle = (low + high) / 2;
            if (values[middle] == wanted) {
                return middle;
            }
            if (values[middle] < wanted) {
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        return -1;
    }

    static List<Integer> windows(int[] values, int size) {
        List<Integer> sums = new ArrayList<>();
        for (int start = 0; start <= values.length - size; start += 1) {
            int sum = 0;
            for (int offset = 0; offset < size; offset++) {
                sum += values[start + offset];
            }
            sums.add(sum);
        }
        return sums;
    }

    static int firstEven(List<Integer> values, int limit, int fallback) {
        for (Integer value : values) {
            if (value % 2 != 0) {
                continue;
            }
            if (value < 0 || value > limit) {
                break;
            }
            return value;
        }
        System.out.println("nothing found " + fallback);
        return fallback;
    }

    static boolean isQuoted(String text, String quote) {
        if (text.length() < 2) {
            return false;
        }
        return text.startsWith(quote) && text.endsWith(quote) && !text.substring(1, text.length() - 1).isEmpty();
    }

    static double area(double width, double height) {
        double border = 0.25;
        double inner = (width - 2 * border) * (height - 2 * border);
        double outer = width * height;
        return outer > inner ? outer - inner : 0.0;
    }

    static void copy(Reader source, Writer target, Map<String, Integer> counts) throws Exception {
        String line = source.readLine();
        boolean first = true;
        do {
            if (line != null && !(line.isEmpty() || line.equals("-"))) {
                target.write(line, counts.get("lines"));
                first = false;
            }
            line = source.readLine();
        } while (line != null);
        if (first) {
            target.warn("empty");
        }
        target.flush();
        source.close();
    }

    static int score(int kind, int weight) {
        int score = weight;
        switch (kind) {
            case 1:
                score = weight * 2 + 1;
                break;
            case 2:
                score = -weight;
                break;
            default:
                return 0;
        }
        return Math.max(score, weight - 3);
    }
}
