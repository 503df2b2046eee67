// Questions of clients and answers of other servers, as bytes from anybody. Whatever comes in, what goes out
// is a message that ldns can read.

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "apimachinery/registry.h"
#include "client/object_builder.h"
#include "dns/cache.h"
#include "dns/splice.h"
#include "dns/upstream.h"
#include "dns/zone.h"

// After the standard library, whose names it takes for macros.
#include <ldns/ldns.h>

using namespace rusternetes;
using namespace rusternetes::dns;

namespace {

struct World {
  World() {
    put("", "namespaces", R"({"metadata":{"name":"d"}})", &Catalog::on_namespace);
    put("", "services",
        R"({"metadata":{"name":"w","namespace":"d"},"spec":{"clusterIP":"10.0.0.1","ports":[{"name":"p","port":80}]}})",
        &Catalog::on_service);
    put("", "services", R"({"metadata":{"name":"h","namespace":"d"},"spec":{"clusterIP":"None"}})",
        &Catalog::on_service);
    put("", "services",
        R"({"metadata":{"name":"e","namespace":"d"},"spec":{"type":"ExternalName","externalName":"h.d.svc.c"}})",
        &Catalog::on_service);
    std::string endpoints;
    for (int i = 0; i < 60; ++i)
      endpoints += (i ? "," : "") + std::string(R"({"addresses":["10.1.0.)") + std::to_string(i) +
                   R"("],"hostname":"x)" + std::to_string(i) + "\"}";
    put("discovery.k8s.io", "endpointslices",
        R"({"metadata":{"name":"h","namespace":"d","labels":{"kubernetes.io/service-name":"h"}},"addressType":"IPv4",
            "ports":[{"name":"p","port":1,"protocol":"TCP"}],"endpoints":[)" +
            endpoints + "]}",
        &Catalog::on_slice);
  }
  void put(std::string_view group, std::string_view resource, const std::string& json,
           void (Catalog::*take)(const apimachinery::Document&, const apimachinery::Document&)) {
    const auto* kind = apimachinery::Registry::builtin()->find_resource(group, "v1", resource);
    (catalog.*take)({}, client::ObjectBuilder::from_json(*kind->type, json));
  }
  Catalog catalog;
  Zone zone = *Zone::make({.domain = "c"}, catalog);
  std::minstd_rand random;
};

void must_be_readable(std::string_view message) {
  ldns_pkt* packet = nullptr;
  if (ldns_wire2pkt(&packet, reinterpret_cast<const std::uint8_t*>(message.data()), message.size()) !=
      LDNS_STATUS_OK)
    abort();
  ldns_pkt_free(packet);
}

void as_query(World& world, std::string_view bytes) {
  Query query;
  if (parse_query(bytes, query) != QueryError::none) return;
  for (const auto transport : {Transport::udp, Transport::tcp}) {
    std::string out;
    std::vector<std::string> chain;
    const AnswerLimits limits;
    const auto limit = answer_limit(query, transport, limits);
    Response response(out, query, limit, limits);
    if (world.zone.scope_of(query) == Zone::Scope::outside) return;
    if (world.zone.answer(query, response, chain) != Zone::Outcome::answered) return;
    response.finish();
    if (out.size() > limit) abort();
    must_be_readable(out);
  }
}

void as_answer(World& world, std::string_view bytes) {
  const auto walk = walk_message(bytes);
  if (!walk) return;
  const ForeignAnswer answer(bytes, *walk, SteadyTime{});
  std::string message(header_size, '\0');
  write16(&message[4], 1);
  message += walk->name;
  char rest[4];
  write16(rest, walk->type);
  write16(rest + 2, walk->klass);
  message.append(rest, 4);
  Query query;
  if (parse_query(message, query) != QueryError::none) abort();
  for (const std::size_t limit : {512u, 1232u, 65535u}) {
    const auto out = answer.to(query, limit, {}, SteadyTime{} + std::chrono::seconds(3), world.random);
    if (out.size() > limit && limit != 65535u) abort();
    // Still a message to our own eyes, of the same question.
    const auto again = walk_message(out);
    if (!again || again->name != walk->name) abort();
  }
  std::string out;
  Response response(out, query, 1232, {});
  if (append_answers(answer.aged(SteadyTime{}), response)) {
    response.finish();
    must_be_readable(out);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 3) {
    case 0:
      as_query(world, bytes);
      break;
    case 1:
      as_answer(world, bytes);
      break;
    case 2:
      (void)parse_resolv_conf(bytes);
      (void)parse_server(bytes);
      (void)name_from_text(bytes);
      break;
  }
  return 0;
}
