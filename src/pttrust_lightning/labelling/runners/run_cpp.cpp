// Linked to the program with --wrap=main: reads the secret, calls the tests' own main, and reports the outcome.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <new>
#include <string>
#include <typeinfo>
#include <unistd.h>

extern "C" int __real_main(int, char **, char **);

namespace {
std::string secret;

[[noreturn]] void report(const std::string &outcome) {
    std::fflush(nullptr);
    const std::string line = "\n" + secret + " " + outcome + "\n";
    _exit(write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : 1);
}

[[noreturn]] void on_terminate() {
    try {
        if (std::current_exception()) std::rethrow_exception(std::current_exception());
    } catch (const std::bad_alloc &) {
        report("memory limit");
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
    } catch (...) {
    }
    report("exception");
}
}  // namespace

// What assert() calls: a failed assertion is an answer, unlike any other abort.
extern "C" [[noreturn]] void __assert_fail(const char *text, const char *file, unsigned int line, const char *) noexcept {
    std::fprintf(stderr, "%s:%u: assertion failed: %s\n", file, line, text);
    report("assertion");
}

extern "C" int __wrap_main(int count, char **arguments, char **environment) {
    char byte;
    while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n') secret += byte;
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    std::set_terminate(on_terminate);
    const int status = __real_main(count, arguments, environment);
    report(status == 0 ? "passed" : "exit status " + std::to_string(status));
}
