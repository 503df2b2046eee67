#pragma once
// The cluster's own names: Kubernetes' DNS specification 1.1.0, answered as CoreDNS's kubernetes plugin does
// ("pods insecure"). Decides without I/O from a Catalog; README.md lists where it differs.

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "dns/catalog.h"
#include "dns/response.h"

namespace rusternetes::dns {

struct ZoneOptions {
  std::string domain = "cluster.local";
  std::uint32_t ttl_s = 30;  // of records, and how long it is remembered that there is none; as kubeadm sets CoreDNS
  // The Service in front of this server: the zone's NS record names it.
  std::string service_name = "kube-dns", service_namespace = "kube-system";
  // Where it is served, while there is no such Service.
  std::vector<network::IpAddress> own_addresses;
};

class Zone {
 public:
  // `catalog` outlives it. BadRequest: the domain is no name.
  static Result<Zone> make(ZoneOptions options, Catalog& catalog);

  enum class Scope {
    cluster,  // in the cluster's domain: nobody else has an answer
    reverse,  // an address's name: ours if we know it
    outside,
  };
  Scope scope_of(const Query& query) const;

  enum class Outcome {
    answered,  // `response` has everything but finish()
    not_here,  // for others to answer (a reverse name of a stranger)
    chase,     // an ExternalName: `chain` ends in a name for others to resolve
  };
  // `chain` gets the names that lead from the question on, each a CNAME of the one before it.
  Outcome answer(const Query& query, Response& response, std::vector<std::string>& chain);

  // The CNAME records of a chain, the first one the question's own.
  void add_chain(const std::vector<std::string>& chain, Response& response) const;
  // For a reverse name that nobody knows.
  void answer_missing_reverse(const Query& query, Response& response);

  // Of the SOA record: the time at which the catalog last changed, in seconds.
  void set_serial(std::uint32_t serial) { serial_ = serial; }
  const std::string& domain() const { return domain_; }  // wire form

 private:
  struct Labels;
  struct Item;
  struct Wanted;

  Zone(ZoneOptions options, std::string domain, Catalog& catalog);
  void answer_negative(Rcode rcode, std::size_t zone_at, Response& response) const;
  Outcome answer_apex(const Query& query, std::size_t zone_at, Response& response);
  Outcome answer_reverse(const Query& query, Response& response);
  Outcome answer_in_domain(const Query& query, const std::string& name, std::size_t zone_at,
                           Response& response, std::vector<std::string>& chain);
  Outcome answer_pod(const Query& query, const Labels& labels, Response& response) const;
  Outcome answer_service(const Query& query, const Labels& labels, const ServiceRecords& service,
                         Response& response, std::vector<std::string>& chain);
  std::vector<Item> items_of(const Labels& labels, const ServiceRecords& service, const Wanted& wanted,
                             bool& is_known) const;
  Outcome answer_external(const Query& query, const Labels& labels, const ServiceRecords& service,
                          Response& response, std::vector<std::string>& chain);
  void answer_packed(const Query& query, const ServiceRecords& service, std::size_t zone_at,
                     Response& response, const std::vector<std::string>& chain);
  void answer_items(const Query& query, const Labels& labels, std::vector<Item> items, Response& response,
                    const std::vector<std::string>& chain);
  void answer_srv(const Query& query, const Labels& labels, const std::vector<Item>& items,
                  Response& response);
  std::vector<network::IpAddress> server_addresses();
  Response::Name owner_after(const std::vector<std::string>& chain) const;

  ZoneOptions options_;
  std::string domain_, service_labels_;
  Catalog& catalog_;
  std::uint32_t serial_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace rusternetes::dns
