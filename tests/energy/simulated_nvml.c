/* A libnvidia-ml.so.1 whose true energy is known, for the real pynvml binding.
 *
 * Time is CLOCK_MONOTONIC, which is Python's perf_counter, until sim_set_time() puts a virtual clock in its place.
 * Each board draws P(t) = mean + swing * sin(2 pi t / swing_period), or the straight lines between the points that
 * sim_set_trace() gave: both can be integrated exactly.
 *
 * The sensor sees only `duty` of each update period, `seen_at` of the rest after its beginning (0: the first part of
 * the period, 1: the last). Periods are all equally long, or their ends lie off by a relative `jitter` (a standard
 * deviation, cut off at 0.4). At the end of a period the counter moves by
 * gain * period * (mean power seen) * (1 + noise), and power readings change: the instant one shows that period, the
 * averaged one the mean of the last `averaging` seconds. With averaging 0 and duty 1 power is the true one of the moment.
 *
 * Environment, a comma-separated value a board: SIM_NVML_POWER_W (its length is the number of boards),
 * SIM_NVML_PERIOD_S, SIM_NVML_NAMES, SIM_NVML_MIG (1: enabled, 0: disabled, neither: not supported), SIM_NVML_NO_COUNTER (1: not supported),
 * SIM_NVML_GAIN, SIM_NVML_DUTY, SIM_NVML_SEEN_AT, SIM_NVML_JITTER, SIM_NVML_AVERAGING_S, SIM_NVML_NOISE (relative standard deviation of a period),
 * SIM_NVML_ARCHITECTURE, SIM_NVML_CORES (a mask of the processor cores near it), SIM_NVML_FIELDS (`instant`, `average`, `module`, `module0` of 0 W, joined by `+`);
 * for all boards: SIM_NVML_DRIVER (its version), SIM_NVML_SWING_W, SIM_NVML_SWING_PERIOD_S, SIM_NVML_SEED.
 * What real drivers do: SIM_NVML_LATENCY_S is the mean time of a call, each lasting between half and one and a half of it
 * (one call at a time, as under a driver's lock); what it reads is that of a random moment in it. On a virtual clock
 * the call lets that time pass through the function given to sim_set_sleep(). SIM_NVML_LAG_S is how much later than
 * its end an update period is published. Below SIM_NVML_IDLE_W watts a board is idle and publishes only one of
 * SIM_NVML_IDLE_SKIP updates, at random. SIM_NVML_POWER_GAPS is the share of power readings that fail, by 0 W or by
 * "Not Supported".
 * SIM_NVML_CONTROL names a file of orders, one a line: "<board> <function> <NVML error>" makes a call fail,
 * "<board> offset <millijoules>" moves the counter, "<board> reset 1" starts it at 0, "<board> throttle <bits>" sets
 * the reasons, "<board> mhz <clock>", "<board> celsius <degrees>", "<board> ecc_count <errors>", "<board> limit_w <watts>", "<board> throttled_<reason>
 * <milliseconds>" moves the cumulative counter of a reason (power, thermal, sync, hw_thermal, brake), "<board>
 * reason_counters <NVML error>" is what these counters answer. Any number of "<board> process <pid>" and "<board> graphic
 * <pid>" are on the board, each with the bytes of "<board> process_bytes <bytes>" (1 MiB without it); "<board> sm
 * <pid * 1000 + percent>" is how much of the SMs a process has used since it was asked last.
 * Compiled with -DWITHOUT_COUNTER the library lacks the counter's symbol, as old drivers do; with -DWITHOUT_SENSORS
 * everything that is neither power nor counter.
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { OK = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, VERSION_MISMATCH = 25, BOARDS = 8, ORDERS = 64 };
enum { FIELD_AVERAGE = 185, FIELD_INSTANT = 186 };
#define BASE_MJ 1e9 /* what the boards drew before the library was loaded */

typedef struct { int points; double *time_s, *watts, *joules; } Trace;
typedef struct { long long first, known, shown; double *joules; size_t room; } Steps;

/* The binding's calls release Python's lock, so two threads may be in here. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char handles[BOARDS];
static Trace traces[BOARDS];
static Steps steps[BOARDS];
static double virtual_now = -1;
static void (*virtual_sleep)(double);
static pthread_mutex_t driver = PTHREAD_MUTEX_INITIALIZER;
static unsigned long long calls;

static int field(const char *variable, int board, char *out, size_t size) {
    const char *text = getenv(variable);
    if (!text) return 0;
    for (int i = 0; i < board; i++) {
        text = strchr(text, ',');
        if (!text) return 0;
        text++;
    }
    size_t length = strcspn(text, ",");
    snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), text);
    return 1;
}

static double number(const char *variable, int board, double otherwise) {
    char text[64];
    return field(variable, board, text, sizeof text) ? atof(text) : otherwise;
}

static int boards(void) {
    char text[64];
    int count = 0;
    while (count < BOARDS && field("SIM_NVML_POWER_W", count, text, sizeof text)) count++;
    return count;
}

/* ---- orders ---- */

static struct { int board; char name[32]; long long value; } orders[ORDERS];
static int order_count;

static void read_orders(void) {
    static struct timespec changed;
    static off_t length = -1;
    const char *path = getenv("SIM_NVML_CONTROL");
    struct stat now;
    if (!path || stat(path, &now) != 0) return;
    if (now.st_size == length && now.st_mtim.tv_sec == changed.tv_sec && now.st_mtim.tv_nsec == changed.tv_nsec) return;
    FILE *file = fopen(path, "r");
    if (!file) return;
    length = now.st_size;
    changed = now.st_mtim;
    order_count = 0;
    while (order_count < ORDERS && fscanf(file, "%d %31s %lld", &orders[order_count].board, orders[order_count].name,
                                          &orders[order_count].value) == 3)
        order_count++;
    fclose(file);
}

static long long order(int board, const char *name) {
    long long found = 0;
    pthread_mutex_lock(&lock);
    read_orders();
    for (int i = 0; i < order_count; i++)
        if (orders[i].board == board && strcmp(orders[i].name, name) == 0) found = orders[i].value;
    pthread_mutex_unlock(&lock);
    return found;
}

/* ---- time and true power ---- */

static double now(void) {
    struct timespec t;
    if (virtual_now >= 0) return virtual_now;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void sim_set_time(double seconds) { virtual_now = seconds; }

/* How a call lets virtual time pass. */
void sim_set_sleep(void (*sleep)(double)) { virtual_sleep = sleep; }

static void spend(double seconds) {
    struct timespec t = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
    if (seconds <= 0) return;
    if (virtual_now < 0) nanosleep(&t, NULL);
    else if (virtual_sleep) virtual_sleep(seconds);
}

/* Forget what the counters have summed up; for new traces or settings. */
void sim_restart(void) { memset(steps, 0, sizeof steps); }

void sim_set_trace(int board, int points, const double *time_s, const double *watts) {
    Trace *trace = &traces[board];
    size_t size = (size_t)points * sizeof(double);
    trace->points = points;
    trace->time_s = memcpy(realloc(trace->time_s, size), time_s, size);
    trace->watts = memcpy(realloc(trace->watts, size), watts, size);
    trace->joules = realloc(trace->joules, size);
    trace->joules[0] = 0;
    for (int i = 1; i < points; i++)
        trace->joules[i] = trace->joules[i - 1] + (time_s[i] - time_s[i - 1]) * (watts[i] + watts[i - 1]) / 2;
}

static int segment(const Trace *trace, double t) {
    int low = 0, high = trace->points - 1;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (trace->time_s[middle] <= t) low = middle; else high = middle;
    }
    return low;
}

static double watts(int board, double t) {
    const Trace *trace = &traces[board];
    if (trace->points) {
        int last = trace->points - 1, i = segment(trace, t);
        if (t <= trace->time_s[0]) return trace->watts[0];
        if (t >= trace->time_s[last]) return trace->watts[last];
        double share = (t - trace->time_s[i]) / (trace->time_s[i + 1] - trace->time_s[i]);
        return trace->watts[i] + share * (trace->watts[i + 1] - trace->watts[i]);
    }
    double period = number("SIM_NVML_SWING_PERIOD_S", 0, 1.0);
    return number("SIM_NVML_POWER_W", board, 0) + number("SIM_NVML_SWING_W", 0, 0) * sin(2 * M_PI * t / period);
}

/* An antiderivative of the power. */
static double joules(int board, double t) {
    const Trace *trace = &traces[board];
    if (trace->points) {
        int last = trace->points - 1;
        if (t <= trace->time_s[0]) return (t - trace->time_s[0]) * trace->watts[0];
        if (t >= trace->time_s[last]) return trace->joules[last] + (t - trace->time_s[last]) * trace->watts[last];
        int i = segment(trace, t);
        return trace->joules[i] + (t - trace->time_s[i]) * (trace->watts[i] + watts(board, t)) / 2;
    }
    double period = number("SIM_NVML_SWING_PERIOD_S", 0, 1.0);
    return number("SIM_NVML_POWER_W", board, 0) * t +
           number("SIM_NVML_SWING_W", 0, 0) * period / (2 * M_PI) * (1 - cos(2 * M_PI * t / period));
}

/* ---- the sensor ---- */

static double uniform(unsigned long long key) { /* splitmix64 */
    key += 0x9E3779B97F4A7C15ull;
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9ull;
    key = (key ^ (key >> 27)) * 0x94D049BB133111EBull;
    return ((double)((key ^ (key >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static double gaussian(int board, long long tick) {
    unsigned long long key = (unsigned long long)number("SIM_NVML_SEED", 0, 0) * 1000003ull + (unsigned long long)board;
    key = key * 0x100000001B3ull + (unsigned long long)tick * 2;
    return sqrt(-2 * log(uniform(key))) * cos(2 * M_PI * uniform(key + 1));
}

/* What a call takes, and the share of it that has passed when it reads. */
static void begin_call(double *before, double *after) {
    double latency = number("SIM_NVML_LATENCY_S", 0, 0);
    unsigned long long key = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) * 2;
    double takes = latency * (0.5 + uniform(key)), share = uniform(key + 1);
    *before = takes * share;
    *after = takes * (1 - share);
}

/* When update `tick` comes. */
static double tick_time(int board, long long tick) {
    double period = number("SIM_NVML_PERIOD_S", board, 0.1), jitter = number("SIM_NVML_JITTER", board, 0);
    if (jitter == 0) return (double)tick * period;
    double off = jitter * gaussian(board + BOARDS, tick);
    return ((double)tick + (off > 0.4 ? 0.4 : off < -0.4 ? -0.4 : off)) * period;
}

/* Joules the sensor makes of the update periods before `tick`, counted from three seconds before the first call. */
static double counted(int board, long long tick) {
    Steps *own = &steps[board];
    pthread_mutex_lock(&lock);
    double period = number("SIM_NVML_PERIOD_S", board, 0.1), duty = number("SIM_NVML_DUTY", board, 1);
    double gain = number("SIM_NVML_GAIN", board, 1), noise = number("SIM_NVML_NOISE", board, 0);
    double seen_at = number("SIM_NVML_SEEN_AT", board, 0);
    if (!own->joules) {
        own->first = tick - (long long)ceil(3 / period);
        own->room = 4096;
        own->joules = malloc(own->room * sizeof(double));
        /* Processes that load the library at different times read the same counter. */
        own->joules[0] = traces[board].points ? 0 : gain * joules(board, tick_time(board, own->first));
        own->known = 0;
    }
    while (own->first + own->known < tick) {
        double start = tick_time(board, own->first + own->known);
        double length = tick_time(board, own->first + own->known + 1) - start;
        start += seen_at * (1 - duty) * length;
        double seen = (joules(board, start + duty * length) - joules(board, start)) / duty;
        if (noise > 0) seen *= 1 + noise * gaussian(board, own->first + own->known);
        if ((size_t)own->known + 2 > own->room) own->joules = realloc(own->joules, (own->room *= 2) * sizeof(double));
        own->joules[own->known + 1] = own->joules[own->known] + gain * seen;
        own->known++;
    }
    double found = own->joules[tick < own->first ? 0 : tick - own->first];
    pthread_mutex_unlock(&lock);
    return found;
}

static long long ticks_by(int board, double time) {
    long long tick = (long long)floor(time / number("SIM_NVML_PERIOD_S", board, 0.1) + 1e-9);
    if (tick_time(board, tick + 1) <= time) return tick + 1;
    return number("SIM_NVML_JITTER", board, 0) > 0 && tick_time(board, tick) > time ? tick - 1 : tick;
}

/* Whether an update is published: every one of a loaded board, few of an idle one. */
static int published(int board, long long tick) {
    double skip = number("SIM_NVML_IDLE_SKIP", board, 1);
    if (skip <= 1 || watts(board, tick_time(board, tick)) >= number("SIM_NVML_IDLE_W", board, 0)) return 1;
    return uniform((unsigned long long)tick * 7919ull + 13) < 1 / skip;
}

/* The last update that can be seen now. */
static long long ticks_until(int board) {
    long long tick = ticks_by(board, now() - number("SIM_NVML_LAG_S", board, 0));
    for (int back = 0; back < 100 && !published(board, tick); back++) tick--;
    /* What was published stays so, whatever a new trace says of the time before. */
    if (tick > steps[board].shown) steps[board].shown = tick;
    return steps[board].shown;
}

/* Mean of the readings of the last `seconds`, at least one update period. */
static double averaged(int board, double seconds) {
    double period = number("SIM_NVML_PERIOD_S", board, 0.1);
    long long tick = ticks_until(board), many = (long long)floor(seconds / period + 0.5);
    if (many < 1) many = 1;
    double until = counted(board, tick); /* first: it decides where counting starts */
    return (until - counted(board, tick - many)) / (tick_time(board, tick) - tick_time(board, tick - many));
}

#define BOARD(handle) ((int)((char *)(handle) - handles))
/* A call waits for the driver, takes its time, and answers with what was so at a moment within it. */
typedef struct { int locked; double after; } Call;

static Call enter(void) {
    Call call = {0, 0};
    double before;
    if (number("SIM_NVML_LATENCY_S", 0, 0) <= 0) return call;
    begin_call(&before, &call.after);
    if (virtual_now < 0) call.locked = pthread_mutex_lock(&driver) == 0;
    spend(before);
    return call;
}

static void leave(Call *call) {
    spend(call->after);
    if (call->locked) pthread_mutex_unlock(&driver);
}

#define ENTER(function) \
    __attribute__((cleanup(leave))) Call call = enter(); \
    int board = BOARD(handle); \
    int error = (int)order(board, function); \
    if (error) return error;

/* A share of the power readings fails, by turns in two ways; 0: this one does not. */
static int power_gap(int board, unsigned *milliwatts) {
    static unsigned long long turns;
    unsigned long long turn = __atomic_add_fetch(&turns, 1, __ATOMIC_RELAXED);
    if (uniform(turn * 31 + 7) >= number("SIM_NVML_POWER_GAPS", board, 0)) return 0;
    *milliwatts = 0;
    return turn % 2 ? NOT_SUPPORTED : -1;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return (int)order(0, "init"); }
int nvmlInit_v2(void) { return (int)order(0, "init"); }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int error) {
    return error == NOT_SUPPORTED ? "Not Supported" : error == 4 ? "Insufficient Permissions"
         : error == 15 ? "GPU is lost" : "simulated error";
}
int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    const char *version = getenv("SIM_NVML_DRIVER");
    snprintf(out, size, "%s", version ? version : "999.1");
    return OK;
}
int nvmlDeviceGetCount_v2(unsigned *count) { *count = (unsigned)boards(); return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    if ((int)index >= boards()) return INVALID_ARGUMENT;
    *handle = &handles[index];
    return (int)order((int)index, "handle");
}

int nvmlDeviceGetUUID(void *handle, char *out, unsigned size) {
    snprintf(out, size, "GPU-%d0000000-0000-0000-0000-000000000000", BOARD(handle) + 1);
    return OK;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    char own[64];
    for (int i = 0; i < boards(); i++) {
        nvmlDeviceGetUUID(&handles[i], own, sizeof own);
        if (strcmp(own, uuid) == 0) { *handle = &handles[i]; return OK; }
    }
    return NOT_FOUND;
}

int nvmlDeviceGetName(void *handle, char *out, unsigned size) {
    if (!field("SIM_NVML_NAMES", BOARD(handle), out, size)) snprintf(out, size, "Simulated GPU");
    return OK;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    double mode = number("SIM_NVML_MIG", BOARD(handle), -1);
    if (mode < 0) return NOT_SUPPORTED; /* as most boards */
    *current = *pending = (unsigned)mode;
    return OK;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
    ENTER("power")
    int gap = power_gap(board, milliwatts);
    if (gap) return gap < 0 ? OK : gap;
    double seconds = number("SIM_NVML_AVERAGING_S", board, 0);
    int plain = seconds == 0 && number("SIM_NVML_DUTY", board, 1) == 1;
    double power = plain ? number("SIM_NVML_GAIN", board, 1) * watts(board, now() - number("SIM_NVML_LAG_S", board, 0)) : averaged(board, seconds);
    *milliwatts = (unsigned)(power * 1e3);
    return OK;
}

#ifndef WITHOUT_COUNTER
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules) {
    ENTER("energy")
    if (number("SIM_NVML_NO_COUNTER", board, 0)) return NOT_SUPPORTED;
    static double shown_at_reset[BOARDS];
    double shown = BASE_MJ + counted(board, ticks_until(board)) * 1e3;
    if (!order(board, "reset")) shown_at_reset[board] = 0;
    else if (shown_at_reset[board] == 0) shown_at_reset[board] = shown;
    *millijoules = (unsigned long long)(shown - shown_at_reset[board] + (double)order(board, "offset"));
    return OK;
}
#endif

#ifndef WITHOUT_SENSORS
typedef struct {
    unsigned id, scope;
    long long timestamp, latency;
    int type, result;
    union { unsigned milliwatts; unsigned long long wide; } value;
} Field;

/* How long a reason has held the clocks down since the driver was loaded, in nanoseconds; 0 where it is no such field. */
static int throttled(int board, Field *field) {
    const char *name = field->id == 74                       ? "throttled_power"
                       : field->id == 75 || field->id == 269 ? "throttled_thermal"
                       : field->id == 76                     ? "throttled_sync"
                       : field->id == 270                    ? "throttled_hw_thermal"
                       : field->id == 271                    ? "throttled_brake"
                                                             : NULL;
    if (!name) return 0;
    field->result = (int)order(board, "reason_counters");
    field->type = 3; /* unsigned long long */
    field->value.wide = 7000000000ull + (unsigned long long)order(board, name) * 1000000ull;
    return 1;
}

int nvmlDeviceGetFieldValues(void *handle, int count, Field *fields) {
    ENTER("fields")
    char known[64] = "";
    field("SIM_NVML_FIELDS", board, known, sizeof known);
    for (int i = 0; i < count; i++) {
        if (throttled(board, &fields[i])) continue;
        const char *name = fields[i].id == FIELD_INSTANT ? "instant" : fields[i].id == FIELD_AVERAGE ? "average" : "-";
        int here = strstr(known, name) && (fields[i].scope == 0 || (fields[i].scope == 1 && strstr(known, "module")));
        fields[i].result = here ? (int)order(board, "power") : NOT_SUPPORTED;
        fields[i].type = 1;
        fields[i].value.wide = 0;
        if (!here || fields[i].result) continue;
        int gap = power_gap(board, &fields[i].value.milliwatts);
        if (gap > 0) fields[i].result = gap;
        if (!gap && fields[i].scope == 1 && strstr(known, "module0")) continue;
        if (!gap) fields[i].value.milliwatts = (unsigned)(averaged(board, fields[i].id == FIELD_AVERAGE) * 1e3);
    }
    return OK;
}

int nvmlDeviceGetArchitecture(void *handle, unsigned *architecture) {
    ENTER("architecture")
    *architecture = (unsigned)number("SIM_NVML_ARCHITECTURE", board, 7);
    return OK;
}

int nvmlDeviceGetCpuAffinity(void *handle, unsigned words, unsigned long *mask) {
    ENTER("cores")
    char text[64];
    if (!field("SIM_NVML_CORES", board, text, sizeof text)) return NOT_SUPPORTED;
    memset(mask, 0, words * sizeof *mask);
    mask[0] = strtoul(text, NULL, 0);
    return OK;
}

/* 61 °C until an order says otherwise. */
static int degrees(int board) {
    long long ordered = order(board, "celsius");
    return ordered ? (int)ordered : 61;
}

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *celsius) {
    (void)sensor;
    ENTER("temperature")
    *celsius = (unsigned)degrees(board);
    return (int)order(board, "temperature_old");
}

typedef struct { unsigned version; int sensor, celsius; } Temperature;

/* The newer of the two names: drivers before 570 lack it, order "temperature_v" 13. */
int nvmlDeviceGetTemperatureV(void *handle, Temperature *found) {
    ENTER("temperature")
    if (found->version != (sizeof *found | 1u << 24)) return VERSION_MISMATCH;
    found->celsius = degrees(board);
    return (int)order(board, "temperature_v");
}

int nvmlDeviceGetClockInfo(void *handle, int type, unsigned *mhz) {
    ENTER("clock")
    long long ordered = order(board, "mhz");
    *mhz = type == 2 ? 1593 : ordered ? (unsigned)ordered : 1410; /* 2: memory */
    return OK;
}

int nvmlDeviceGetCurrentClocksEventReasons(void *handle, unsigned long long *bits) {
    ENTER("reasons")
    *bits = 1 | (unsigned long long)order(board, "throttle");
    return OK;
}

int nvmlDeviceGetTotalEccErrors(void *handle, int type, int counter, unsigned long long *count) {
    (void)counter;
    ENTER("ecc")
    *count = type == 1 ? (unsigned long long)order(board, "ecc_count") : 0; /* 1: uncorrected */
    return OK;
}

int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *milliwatts) {
    ENTER("limit")
    long long ordered = order(board, "limit_w");
    *milliwatts = ordered ? (unsigned)ordered * 1000 : 400000;
    return OK;
}

int nvmlDeviceGetPowerManagementDefaultLimit(void *handle, unsigned *milliwatts) {
    ENTER("default_limit")
    *milliwatts = 400000;
    return OK;
}

int nvmlDeviceGetPowerManagementLimitConstraints(void *handle, unsigned *lowest, unsigned *highest) {
    ENTER("limits")
    *lowest = 100000;
    *highest = 450000;
    return OK;
}

int nvmlDeviceGetPersistenceMode(void *handle, int *mode) {
    ENTER("persistence")
    *mode = 1;
    return OK;
}

/* The values of all orders of this name. */
static unsigned ordered(int board, const char *name, long long found[ORDERS]) {
    unsigned many = 0;
    pthread_mutex_lock(&lock);
    read_orders();
    for (int i = 0; i < order_count; i++)
        if (orders[i].board == board && strcmp(orders[i].name, name) == 0) found[many++] = orders[i].value;
    pthread_mutex_unlock(&lock);
    return many;
}

typedef struct { unsigned pid; unsigned long long memory; unsigned gpu, compute; } Process;

static int processes(void *handle, const char *name, unsigned *count, Process *found) {
    ENTER("processes")
    long long pids[ORDERS], bytes = order(board, "process_bytes");
    unsigned room = *count;
    *count = ordered(board, name, pids);
    if (!*count) return OK;
    if (room < *count || !found) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++)
        found[i] = (Process){(unsigned)pids[i], bytes ? (unsigned long long)bytes : 1 << 20, 0xFFFFFFFF, 0xFFFFFFFF};
    return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, Process *found) {
    return processes(handle, "process", count, found);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, Process *found) {
    return processes(handle, "graphic", count, found);
}

typedef struct { unsigned pid; unsigned long long time_us; unsigned sm, memory, encoder, decoder; } Use;

int nvmlDeviceGetProcessUtilization(void *handle, Use *found, unsigned *count, unsigned long long seen_us) {
    ENTER("utilization")
    long long uses[ORDERS];
    unsigned room = *count;
    unsigned long long now_us = (unsigned long long)(now() * 1e6);
    *count = now_us > seen_us ? ordered(board, "sm", uses) : 0;
    if (!*count) return NOT_FOUND;
    if (room < *count || !found) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++)
        found[i] = (Use){(unsigned)(uses[i] / 1000), now_us, (unsigned)(uses[i] % 1000), 0, 0, 0};
    return OK;
}

/* ---- what a board is ---- */

int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13000; return (int)order(0, "cuda"); }

int nvmlDeviceGetVbiosVersion(void *handle, char *out, unsigned size) {
    ENTER("vbios")
    snprintf(out, size, "96.00.5F.00.0%d", board + 1);
    return OK;
}

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char address[32];
} Pci;

int nvmlDeviceGetPciInfo_v3(void *handle, Pci *found) {
    ENTER("pci")
    memset(found, 0, sizeof *found);
    snprintf(found->address, sizeof found->address, "00000000:%02X:00.0", 0x17 + board);
    return OK;
}

int nvmlDeviceGetEccMode(void *handle, int *current, int *pending) {
    ENTER("ecc_mode")
    *current = *pending = 1;
    return OK;
}

int nvmlDeviceGetMaxClockInfo(void *handle, int type, unsigned *mhz) {
    ENTER("max_clock")
    *mhz = type == 2 ? 1593 : 1980;
    return OK;
}

int nvmlDeviceGetApplicationsClock(void *handle, int type, unsigned *mhz) {
    ENTER("set_clock")
    *mhz = type == 2 ? 1593 : 1410;
    return OK;
}

int nvmlDeviceGetDefaultApplicationsClock(void *handle, int type, unsigned *mhz) {
    ENTER("default_clock")
    *mhz = type == 2 ? 1593 : 1410;
    return OK;
}

typedef struct { unsigned long long total, free, used; } Memory;

int nvmlDeviceGetMemoryInfo(void *handle, Memory *found) {
    ENTER("memory")
    *found = (Memory){80ull << 30, 60ull << 30, 20ull << 30};
    return OK;
}
#endif
