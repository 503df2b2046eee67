// What is said to a NetworkPolicy, and what it becomes.

#include <fmt/format.h>

#include "server_test_support.h"

using rusternetes::api_server::testing::Answer;
using rusternetes::api_server::testing::TestServer;

namespace {

const std::string policies = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
std::string policy(const std::string& spec, const std::string& name = "p") {
  return fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{{}}}}})", name, spec);
}
bool contains(const Answer& answer, std::string_view text) { return answer.body.find(text) != std::string::npos; }

}  // namespace

TEST_CASE("a NetworkPolicy that would not mean what it says is refused, and the message names the field") {
  TestServer server;
  const struct {
    const char *spec, *message;
  } cases[] = {
      {R"("podSelector":{"matchExpressions":[{"key":"app","operator":"in","values":["db"]}]})",
       R"(spec.podSelector.matchExpressions[0].operator: Invalid value: \"in\": not a valid selector operator)"},
      {R"("podSelector":{},"ingress":[{"from":[{}]}])", "spec.ingress[0].from[0]: Required value: must specify a peer"},
      {R"("podSelector":{},"egress":[{"to":[{}]}])", "spec.egress[0].to[0]: Required value: must specify a peer"},
      {R"("podSelector":{},"ingress":[{"from":[{"podSelector":{},"ipBlock":{"cidr":"10.0.0.0/8"}}]}])",
       "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"},
      {R"("podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":""}}]}])", "spec.ingress[0].from[0].ipBlock.cidr: Required value"},
      {R"("podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0"}}]}])",
       R"(spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0\": must be a valid CIDR value)"},
      {R"("podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["192.0.2.0/24"]}}]}])",
       R"(spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"192.0.2.0/24\": must be a strict subset of `cidr`)"},
      {R"("podSelector":{},"egress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.0.0.0/8"]}}]}])",
       R"(spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`)"},
      {R"("podSelector":{},"ingress":[{"ports":[{"port":80,"endPort":79}]}])",
       "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`"},
      {R"("podSelector":{},"ingress":[{"ports":[{"port":"http","endPort":81}]}])",
       "spec.ingress[0].ports[0].endPort: Invalid value: 81: may not be specified when `port` is non-numeric"},
      {R"("podSelector":{},"ingress":[{"ports":[{"endPort":81}]}])",
       "spec.ingress[0].ports[0].endPort: Invalid value: 81: may not be specified when `port` is not specified"},
      {R"("podSelector":{},"ingress":[{"ports":[{"port":0}]}])",
       "spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"},
      {R"("podSelector":{},"ingress":[{"ports":[{"protocol":"ICMP"}]}])",
       R"(spec.ingress[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\", \"SCTP\")"},
      {R"("podSelector":{},"policyTypes":["ingress"])",
       R"(spec.policyTypes[0]: Unsupported value: \"ingress\": supported values: \"Ingress\", \"Egress\")"},
      {R"("podSelector":{},"policyTypes":["Ingress","Egress","Ingress"])",
       R"(spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: may not specify more than two policyTypes)"},
  };
  for (const auto& one : cases) {
    const Answer answer = server.send("POST", policies, policy(one.spec));
    INFO(one.spec << "\n" << answer.body);
    CHECK(answer.code == 422);
    CHECK(contains(answer, one.message));
  }
}

TEST_CASE("a NetworkPolicy's types and protocols are filled in, and its generation rises with its spec") {
  TestServer server;
  const Answer plain = server.send("POST", policies, policy(R"("podSelector":{},"ingress":[{"ports":[{"port":80,"endPort":90}]}])"));
  REQUIRE(plain.code == 201);
  CHECK(contains(plain, R"("policyTypes":["Ingress"])"));
  CHECK(contains(plain, R"("protocol":"TCP")"));
  CHECK(contains(plain, R"("generation":1)"));
  const Answer both = server.send("POST", policies, policy(R"("podSelector":{},"egress":[{}])", "q"));
  REQUIRE(both.code == 201);
  CHECK(contains(both, R"("policyTypes":["Ingress","Egress"])"));
  const Answer changed = server.send("PUT", policies + "/p", policy(R"("podSelector":{"matchLabels":{"a":"b"}})"));
  REQUIRE(changed.code == 200);
  CHECK(contains(changed, R"("generation":2)"));
  const Answer refused = server.send("PUT", policies + "/p", policy(R"("podSelector":{},"egress":[{"to":[{}]}])"));
  CHECK(refused.code == 422);
}
