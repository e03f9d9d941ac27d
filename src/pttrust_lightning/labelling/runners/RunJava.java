import java.io.ByteArrayInputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Paths;
import javax.tools.ToolProvider;

/** Compile Main.java, call Main.main, and report the outcome; compiler and tests share one start of the machine. */
class RunJava {
    public static void main(String[] arguments) throws IOException {
        String secret = readLine();
        System.setIn(new ByteArrayInputStream(new byte[0]));
        PrintStream report = new PrintStream(new FileOutputStream(FileDescriptor.out), true);
        String outcome = outcome();
        System.out.flush();
        System.err.flush();
        report.println("\n" + secret + " " + outcome);
        report.flush();
        Runtime.getRuntime().halt(0);
    }

    private static String readLine() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int b = System.in.read(); b != -1 && b != '\n'; b = System.in.read()) line.append((char) b);
        return line.toString();
    }

    private static String outcome() {
        try {
            OutputStream errors = System.err;
            if (ToolProvider.getSystemJavaCompiler().run(null, errors, errors,
                    "-nowarn", "-proc:none", "-encoding", "UTF-8", "-d", ".", "Main.java") != 0) {
                return "does not compile";
            }
            URL[] here = {Paths.get("").toAbsolutePath().toUri().toURL()};
            URLClassLoader loader = new URLClassLoader(here, ClassLoader.getPlatformClassLoader());
            loader.setDefaultAssertionStatus(true);
            Method main = loader.loadClass("Main").getMethod("main", String[].class);
            main.setAccessible(true);
            main.invoke(null, (Object) new String[0]);
            return "passed";
        } catch (InvocationTargetException e) {
            return describe(e.getCause());
        } catch (Throwable e) {
            return describe(e);
        }
    }

    private static String describe(Throwable error) {
        if (error instanceof OutOfMemoryError) return "memory limit";
        error.printStackTrace();
        if (error instanceof AssertionError) return "assertion";
        return "exception: " + error.getClass().getSimpleName();
    }
}
