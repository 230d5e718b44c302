/* An init for tests: loads the modules it finds, takes its address from its environment, answers one HTTP request on
   8080 with what it was told, and ends as its arguments say. The whole program of a guest of family linux. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

enum { EXIT_PORT = 0x501, CONFIGURATION = 64 };

static void leave(unsigned code)
{
    if (iopl(3) == 0)
        outl(code, EXIT_PORT);
    reboot(RB_POWER_OFF);
}

static void fail(const char *why)
{
    printf("init: %s: %m\n", why);
    leave(1);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_module(const struct dirent *entry)
{
    return strstr(entry->d_name, ".ko") != NULL;
}

static void load_modules(void)
{
    struct dirent **entries;
    int count = scandir("/modules", &entries, is_module, by_name);
    for (int i = 0; i < count; i++) {
        char path[300];
        snprintf(path, sizeof path, "/modules/%s", entries[i]->d_name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0 || syscall(SYS_finit_module, file, "", 0) != 0)
            printf("init: %s: %m\n", path);
        close(file);
    }
}

static struct sockaddr address_of(in_addr_t ip)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = ip};
    struct sockaddr out;
    memcpy(&out, &in, sizeof out);
    return out;
}

static void set_route(int control, const char *gateway)
{
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    route.rt_dst = route.rt_genmask = address_of(INADDR_ANY);
    route.rt_gateway = address_of(inet_addr(gateway));
    if (ioctl(control, SIOCADDRT, &route) != 0)
        printf("init: route: %m\n");
}

/* The address as ADDRESS/BITS. */
static void set_address(const char *text, const char *gateway)
{
    char ip[64];
    int control = socket(AF_INET, SOCK_DGRAM, 0), bits = 0;
    struct ifreq request = {.ifr_name = "eth0"};
    if (sscanf(text, "%63[0-9.]/%d", ip, &bits) != 2 || bits < 1 || bits > 32) {
        printf("init: unictl_ip is no ADDRESS/BITS: %s\n", text);
        leave(CONFIGURATION);
    }
    request.ifr_addr = address_of(inet_addr(ip));
    for (int tries = 0; ioctl(control, SIOCSIFADDR, &request) != 0; tries++) {
        if (tries == 500)
            fail("eth0");
        usleep(10000);
    }
    request.ifr_netmask = address_of(htonl(~0u << (32 - bits)));
    ioctl(control, SIOCSIFNETMASK, &request);
    ioctl(control, SIOCGIFFLAGS, &request);
    request.ifr_flags |= IFF_UP;
    ioctl(control, SIOCSIFFLAGS, &request);
    if (gateway)
        set_route(control, gateway);
    close(control);
}

static void tell(FILE *to, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        fprintf(to, "arg %s\n", argv[i]);
    for (char **variable = environ; *variable; variable++)
        fprintf(to, "env %s\n", *variable);
}

static void answer_once(int argc, char **argv)
{
    char request[2048];
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(8080)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, 8) != 0)
        fail("port 8080");
    printf("init: listening\n");
    int client = accept(listener, NULL, NULL);
    if (read(client, request, sizeof request) < 0)
        fail("request");
    FILE *out = fdopen(client, "w");
    fprintf(out, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n");
    tell(out, argc, argv);
    fflush(out);
    shutdown(client, SHUT_WR);
    while (read(client, request, sizeof request) > 0)
        ;
    fclose(out);
}

static void obey(const char *word)
{
    if (strncmp(word, "--exit=", 7) == 0)
        leave((unsigned)atoi(word + 7));
    else if (strcmp(word, "--reset") == 0)
        reboot(RB_AUTOBOOT);
    else if (strcmp(word, "--die") == 0)
        exit(3);
    else if (strcmp(word, "--power-off") == 0)
        reboot(RB_POWER_OFF);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    load_modules();
    const char *ip = getenv("unictl_ip");
    if (ip)
        set_address(ip, getenv("unictl_gateway"));
    if (argc > 1 && strcmp(argv[1], "--now") != 0)
        answer_once(argc, argv);
    for (int i = 1; i < argc; i++)
        obey(argv[i]);
    for (;;)
        pause();
}
