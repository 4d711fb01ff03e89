/* modbus_server PORT - a Modbus TCP slave for tests, made of libmodbus: one connection after the other. Says
 * "ready". Holding register 15 counts the requests; tables end at address 99, where it answers with an
 * exception. */
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

int main(int argc, char **argv)
{
    modbus_t *m = modbus_new_tcp("127.0.0.1", argc > 1 ? atoi(argv[1]) : 0);
    modbus_mapping_t *map = modbus_mapping_new(100, 100, 100, 100);
    int listener = m != NULL && map != NULL ? modbus_tcp_listen(m, 1) : -1;

    if (listener < 0) {
        perror("modbus_tcp_listen");
        return 1;
    }
    fill(map);
    printf("ready\n");
    fflush(stdout);
    while (modbus_tcp_accept(m, &listener) >= 0) {
        uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
        int n;

        while ((n = modbus_receive(m, query)) >= 0) {
            map->tab_registers[15]++;
            if (n > 0 && modbus_reply(m, query, n, map) < 0)
                break;
        }
        modbus_close(m);
    }
    return 0;
}
