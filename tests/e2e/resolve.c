// Asks the resolver of the C library that it is linked with, and prints what a program would see.
// test_names.py builds it with glibc and with musl.
//
//   resolve addresses NAME [4|6]   every address by getaddrinfo, one a line, in order of their text
//   resolve canonical NAME         the name that getaddrinfo came to
//   resolve name ADDRESS           the address's name by getnameinfo
//   resolve records NAME TYPE      the answer section by res_query: "TYPE data", TYPE one of A AAAA CNAME SRV
//   TXT
// What fails is a line "error REASON" and exit code 1.
#define _GNU_SOURCE  // EAI_NODATA
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int fail(const char* reason) {
  printf("error %s\n", reason);
  return 1;
}

static const char* reason_of(int code) {
  switch (code) {
    case EAI_NONAME:
      return "EAI_NONAME";
    case EAI_AGAIN:
      return "EAI_AGAIN";
#ifdef EAI_NODATA
    case EAI_NODATA:
      return "EAI_NODATA";
#endif
    default:
      return gai_strerror(code);
  }
}

static int compare(const void* a, const void* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

static int addresses(const char* name, const char* family, int canonical) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = canonical ? AI_CANONNAME : 0};
  if (family) hints.ai_family = *family == '4' ? AF_INET : AF_INET6;
  struct addrinfo* found = NULL;
  const int code = getaddrinfo(name, NULL, &hints, &found);
  if (code != 0) return fail(reason_of(code));
  if (canonical) return puts(found->ai_canonname) < 0;
  char* texts[4096];
  size_t count = 0;
  for (const struct addrinfo* each = found; each && count < 4096; each = each->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
      return fail("no text");
    texts[count++] = strdup(text);
  }
  qsort(texts, count, sizeof *texts, compare);
  for (size_t i = 0; i < count; ++i) puts(texts[i]);
  return 0;
}

static int name(const char* address) {
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  const int is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
  if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1) return fail("no address");
  char text[NI_MAXHOST];
  const int code = is_v4 ? getnameinfo((void*)&v4, sizeof v4, text, sizeof text, NULL, 0, NI_NAMEREQD)
                         : getnameinfo((void*)&v6, sizeof v6, text, sizeof text, NULL, 0, NI_NAMEREQD);
  return code ? fail(reason_of(code)) : puts(text) < 0;
}

static int number_of(const char* type) {
  const struct {
    const char* name;
    int number;
  } all[] = {{"A", 1}, {"AAAA", 28}, {"CNAME", 5}, {"SRV", 33}, {"TXT", 16}};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i)
    if (strcmp(all[i].name, type) == 0) return all[i].number;
  return 0;
}

static void print_record(ns_msg* message, const ns_rr* record) {
  const unsigned char* data = ns_rr_rdata(*record);
  char text[NS_MAXDNAME] = "";
  switch (ns_rr_type(*record)) {
    case 1:
      printf("A %s\n", inet_ntop(AF_INET, data, text, sizeof text));
      return;
    case 28:
      printf("AAAA %s\n", inet_ntop(AF_INET6, data, text, sizeof text));
      return;
    case 5:
      dn_expand(ns_msg_base(*message), ns_msg_end(*message), data, text, sizeof text);
      printf("CNAME %s\n", text);
      return;
    case 33:
      dn_expand(ns_msg_base(*message), ns_msg_end(*message), data + 6, text, sizeof text);
      printf("SRV %u %u %u %s\n", ns_get16(data), ns_get16(data + 2), ns_get16(data + 4), text);
      return;
    case 16:
      printf("TXT %.*s\n", data[0], data + 1);
      return;
    default:
      printf("%d\n", ns_rr_type(*record));
  }
}

static int records(const char* what, const char* type) {
  unsigned char answer[65536];
  const int size = res_query(what, 1, number_of(type), answer, sizeof answer);
  if (size < 0) return fail(hstrerror(h_errno));
  ns_msg message;
  if (ns_initparse(answer, size, &message) != 0) return fail("the message cannot be read");
  if (ns_msg_getflag(message, ns_f_rcode) != 0 || ns_msg_count(message, ns_s_an) == 0)
    return fail("no record");
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr record;
    if (ns_parserr(&message, ns_s_an, i, &record) != 0) return fail("a record cannot be read");
    print_record(&message, &record);
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc >= 3 && strcmp(argv[1], "addresses") == 0) return addresses(argv[2], argc > 3 ? argv[3] : NULL, 0);
  if (argc == 3 && strcmp(argv[1], "canonical") == 0) return addresses(argv[2], NULL, 1);
  if (argc == 3 && strcmp(argv[1], "name") == 0) return name(argv[2]);
  if (argc == 4 && strcmp(argv[1], "records") == 0) return records(argv[2], argv[3]);
  fprintf(stderr, "usage: resolve addresses|canonical|name|records ...\n");
  return 2;
}
