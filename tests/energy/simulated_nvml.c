/* A libnvidia-ml.so.1 whose true energy is known, for the real pynvml binding.
 *
 * Each board draws P(t) = mean + swing * sin(2 pi t / swing_period), with t on CLOCK_MONOTONIC, which is Python's
 * perf_counter: a test can integrate it exactly. The energy counter shows, gain times, what was drawn up to the last
 * multiple of the board's update period; power is the instantaneous one.
 *
 * Environment, a comma-separated value a board: SIM_NVML_POWER_W (its length is the number of boards),
 * SIM_NVML_PERIOD_S, SIM_NVML_NAMES, SIM_NVML_MIG (1: enabled), SIM_NVML_NO_COUNTER (1: not supported);
 * for all boards: SIM_NVML_SWING_W, SIM_NVML_SWING_PERIOD_S, SIM_NVML_GAIN.
 * SIM_NVML_CONTROL names a file that is read anew at each call, one order a line: "<board> <function> <NVML error>"
 * makes a call fail, "<board> offset <millijoules>" moves the counter, "<board> throttle <bits>" sets the reasons.
 * Compiled with -DWITHOUT_COUNTER the library lacks the counter's symbol, as old drivers do.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, BOARDS = 8 };

static char handles[BOARDS];

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

static long long order(int board, const char *function) {
    const char *path = getenv("SIM_NVML_CONTROL");
    FILE *file = path ? fopen(path, "r") : NULL;
    long long found = 0, value;
    char name[32];
    int index;
    if (!file) return 0;
    while (fscanf(file, "%d %31s %lld", &index, name, &value) == 3)
        if (index == board && strcmp(name, function) == 0) found = value;
    fclose(file);
    return found;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double watts(int board, double t) {
    double period = number("SIM_NVML_SWING_PERIOD_S", 0, 1.0);
    return number("SIM_NVML_POWER_W", board, 0) + number("SIM_NVML_SWING_W", 0, 0) * sin(2 * M_PI * t / period);
}

static double joules(int board, double t) {
    double period = number("SIM_NVML_SWING_PERIOD_S", 0, 1.0);
    return number("SIM_NVML_POWER_W", board, 0) * t +
           number("SIM_NVML_SWING_W", 0, 0) * period / (2 * M_PI) * (1 - cos(2 * M_PI * t / period));
}

#define BOARD(handle) ((int)((char *)(handle) - handles))
#define ENTER(function) \
    int board = BOARD(handle); \
    int error = (int)order(board, function); \
    if (error) return error;

int nvmlInitWithFlags(unsigned flags) { (void)flags; return (int)order(0, "init"); }
int nvmlInit_v2(void) { return (int)order(0, "init"); }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int error) { (void)error; return "simulated error"; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) { snprintf(out, size, "999.1"); return OK; }
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
    *current = *pending = (unsigned)number("SIM_NVML_MIG", BOARD(handle), 0);
    return OK;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
    ENTER("power")
    *milliwatts = (unsigned)(number("SIM_NVML_GAIN", 0, 1) * watts(board, now()) * 1e3);
    return OK;
}

#ifndef WITHOUT_COUNTER
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules) {
    ENTER("energy")
    if (number("SIM_NVML_NO_COUNTER", board, 0)) return NOT_SUPPORTED;
    double period = number("SIM_NVML_PERIOD_S", board, 0.1);
    double energy = number("SIM_NVML_GAIN", 0, 1) * joules(board, floor(now() / period) * period);
    *millijoules = (unsigned long long)(energy * 1e3 + (double)order(board, "offset"));
    return OK;
}
#endif

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *celsius) {
    (void)sensor;
    ENTER("temperature")
    *celsius = 61;
    return OK;
}

int nvmlDeviceGetClockInfo(void *handle, int type, unsigned *mhz) {
    (void)type;
    ENTER("clock")
    *mhz = 1410;
    return OK;
}

int nvmlDeviceGetCurrentClocksEventReasons(void *handle, unsigned long long *bits) {
    ENTER("reasons")
    *bits = 1 | (unsigned long long)order(board, "throttle");
    return OK;
}
