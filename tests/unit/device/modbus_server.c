/* modbus_server PORT | PATH - a Modbus slave for tests, made of libmodbus: TCP, one connection after the
 * other; or RTU, unit 3, on a pseudo terminal that PATH becomes a link to, gone with this process. Says
 * "ready". Holding register 15 counts the requests; tables end at address 99, where it answers with an
 * exception. */
#include <modbus/modbus.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { RTU_UNIT = 3 };

static void fill(modbus_mapping_t *map)
{
    uint16_t *h = map->tab_registers;

    h[0] = 1234;
    h[1] = (uint16_t)-5;
    h[2] = 0x41AC; /* 21.5 */
    h[4] = 0x2345; /* 0x12345, the low word first */
    h[5] = 0x0001;
    h[6] = 0xFFFE; /* -100000 */
    h[7] = 0x7960;
    h[8] = 0x7FFF; /* beyond what a signed one holds, with the next three */
    h[9] = h[10] = h[11] = 0xFFFF;
    map->tab_input_registers[10] = 77;
    map->tab_bits[3] = 1;
    map->tab_input_bits[4] = 1;
}

static void say_ready(void)
{
    printf("ready\n");
    fflush(stdout);
}

/* One request and its answer; negative: the connection is lost, or what came was no request. */
static int answer(modbus_t *m, modbus_mapping_t *map)
{
    uint8_t query[MODBUS_MAX_ADU_LENGTH];
    int n = modbus_receive(m, query);

    if (n < 0)
        return n;
    map->tab_registers[15]++;
    return n > 0 ? modbus_reply(m, query, n, map) : 0;
}

static int serve_tcp(int port, modbus_mapping_t *map)
{
    modbus_t *m = modbus_new_tcp("127.0.0.1", port);
    int listener = m != NULL ? modbus_tcp_listen(m, 1) : -1;

    if (listener < 0) {
        perror("modbus_tcp_listen");
        return 1;
    }
    say_ready();
    while (modbus_tcp_accept(m, &listener) >= 0) {
        while (answer(m, map) >= 0)
            ;
        modbus_close(m);
    }
    return 0;
}

/* Its own end of the terminal's other side stays open, so that a master may come and go. */
static int serve_rtu(const char *path, modbus_mapping_t *map)
{
    modbus_t *m = modbus_new_rtu(path, 19200, 'E', 8, 1);
    struct termios raw = {0};
    int line, other;
    char name[64];

    cfmakeraw(&raw);
    unlink(path);
    if (m == NULL || openpty(&line, &other, name, &raw, NULL) != 0 || symlink(name, path) != 0 ||
        modbus_set_slave(m, RTU_UNIT) != 0 || modbus_set_socket(m, line) != 0) {
        perror(path);
        return 1;
    }
    say_ready();
    for (;;)
        (void)answer(m, map);
}

int main(int argc, char **argv)
{
    modbus_mapping_t *map = modbus_mapping_new(100, 100, 100, 100);

    if (argc < 2 || map == NULL) {
        fprintf(stderr, "usage: %s PORT | PATH\n", argv[0]);
        return 2;
    }
    fill(map);
    return strchr(argv[1], '/') != NULL ? serve_rtu(argv[1], map) : serve_tcp(atoi(argv[1]), map);
}
