/* See crash.h. The handler makes only async-signal-safe calls: no allocation, no stdio, no log_write(). The first call
 * of backtrace() loads a library, which allocates, so crash_watch() calls it once. The handler has a stack of its own,
 * since an overflow of the main stack is a crash, too. */
#include "process/crash.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "base/version.h"
#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#define FRAMES_MAX 100
#define STACK_BYTES 65536

static bool enabled;  /* crash-log-enabled */
static bool watching; /* crash_watch() was called: enabled takes effect at once */
static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static char handler_stack[STACK_BYTES];

static void write_text(int fd, const char *text) {
    if (write(fd, text, strlen(text)) < 0) return; /* nothing can be done about it */
}

static void say_number(int fd, int64_t n) {
    char digits[NUM_I64_MAX];
    digits[num_print_i64(digits, n)] = '\0';
    write_text(fd, digits);
}

static void say_hex(int fd, uint64_t n) {
    char digits[17];
    for (int i = 15; i >= 0; i--, n >>= 4) {
        digits[i] = "0123456789abcdef"[n & 15];
    }
    digits[16] = '\0';
    write_text(fd, digits);
}

static void say_registers(int fd, const ucontext_t *context) {
#if defined(__x86_64__)
    static const struct {
        const char *name;
        int index;
    } registers[] = {{"RAX", REG_RAX}, {"RBX", REG_RBX}, {"RCX", REG_RCX}, {"RDX", REG_RDX}, {"RDI", REG_RDI},
                     {"RSI", REG_RSI}, {"RBP", REG_RBP}, {"RSP", REG_RSP}, {"R8", REG_R8},   {"R9", REG_R9},
                     {"R10", REG_R10}, {"R11", REG_R11}, {"R12", REG_R12}, {"R13", REG_R13}, {"R14", REG_R14},
                     {"R15", REG_R15}, {"RIP", REG_RIP}, {"EFL", REG_EFL}};
    write_text(fd, "\n------ REGISTERS ------\n");
    for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++) {
        write_text(fd, registers[i].name);
        write_text(fd, ":");
        say_hex(fd, (uint64_t)context->uc_mcontext.gregs[registers[i].index]);
        write_text(fd, i % 4 == 3 ? "\n" : " ");
    }
    write_text(fd, "\n");
#else
    (void)fd, (void)context;
#endif
}

static void report_crash(int fd, int number, const siginfo_t *info, const ucontext_t *context) {
    void *frames[FRAMES_MAX];
    write_text(fd, "\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\nRedis " VERSION_REDIS
                   " (kura " VERSION_KURA ") crashed by signal: ");
    say_number(fd, number);
    write_text(fd, ", si_code: ");
    say_number(fd, info->si_code);
    if (number == SIGSEGV || number == SIGBUS) {
        write_text(fd, "\nAccessing address: 0x");
        say_hex(fd, (uint64_t)(uintptr_t)info->si_addr);
    }
    write_text(fd, "\n\n------ STACK TRACE ------\n");
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), fd);
    say_registers(fd, context);
    write_text(fd, "\n------ INFO ------\nprocess_id:");
    say_number(fd, getpid());
    write_text(fd, "\nused_memory:");
    say_number(fd, (int64_t)alloc_used());
    write_text(fd, "\n\n=== REDIS BUG REPORT END. ===\n");
}

/* Write the report once, then die by the same signal: so the core file and the exit status are those of the crash. */
static void crash_arrived(int number, siginfo_t *info, void *context) {
    static volatile sig_atomic_t reporting;
    if (!reporting) {
        reporting = 1;
        int fd = log_crash_fd();
        if (fd >= 0) report_crash(fd, number, info, context);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void set_handlers(bool on) {
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
    struct sigaction action = {.sa_sigaction = crash_arrived, .sa_flags = SA_ONSTACK | SA_SIGINFO | SA_NODEFER};
    if (on)
        sigaltstack(&stack, NULL);
    else
        action = (struct sigaction){.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        sigaction(signals[i], &action, NULL);
    }
}

static bool apply_enabled(const char **error) {
    (void)error;
    if (watching) set_handlers(enabled);
    return true;
}

void crash_watch(void) {
    void *frame;
    backtrace(&frame, 1);
    watching = true;
    if (enabled) set_handlers(true);
}

static const struct option crash_rows[] = {
    {"crash-log-enabled", .type = OPTION_BOOL, .address = &enabled, .initial = "yes", .apply = apply_enabled},
    {NULL},
};

const struct module crash_module = {.options = crash_rows};
