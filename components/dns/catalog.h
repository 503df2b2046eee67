#pragma once
// What the cluster's objects mean to DNS, kept current object by object: Services with their endpoints, the
// namespaces, and who has an address. Plain data without I/O; used from one thread.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "apimachinery/document.h"
#include "network/address.h"

namespace rusternetes::dns {

struct NamedPort {
  std::string name, protocol;  // lower case; unnamed ports have no name
  std::uint16_t number = 0;
  bool has_number = true;
};

// The part of an EndpointSlice that names are made of. Immutable.
struct SliceRecords {
  struct Endpoint {
    network::IpAddress address;
    bool is_ready = true;
    std::uint32_t label_at = 0;  // into `labels`; 0: the address is the name
  };
  std::string service;                  // the labels of Service and namespace, as `find()` wants them
  std::vector<NamedPort> ports;         // empty: none declared
  std::vector<Endpoint> endpoints;      // by address
  std::vector<std::uint32_t> by_label;  // endpoints that have one, by it
  std::string labels;                   // each with its length before it

  std::string_view label_of(const Endpoint& endpoint) const;
};

// One Service. Immutable once handed out.
struct ServiceRecords {
  enum class Kind { cluster_ip, headless, external_name };
  Kind kind = Kind::cluster_ip;
  bool publishes_not_ready = false;
  std::vector<network::IpAddress> cluster_ips;
  std::vector<NamedPort> ports;
  std::string external_name;  // a name in wire form; empty: spec.externalName is none
  std::vector<std::shared_ptr<const SliceRecords>> slices;
  std::string v4, v6;  // headless: each published address once, 4 and 16 bytes

  bool is_published(const SliceRecords::Endpoint& endpoint) const {
    return endpoint.is_ready || publishes_not_ready;
  }
};

// The label that an endpoint without a hostname has: "10-0-0-1", "fd00--1" (CoreDNS's form; with a 0 behind a
// last dash, since no label ends in one).
std::string label_of_address(const network::IpAddress& address);
// The address that such a label means, however it is spelled ("fd00-0-0-0-0-0-0-1"). False: it means none.
bool address_from_label(std::string_view label, network::IpAddress& out);
// The same, of the very label that label_of_address() makes.
bool address_of_label(std::string_view label, network::IpAddress& out);

class Catalog {
 public:
  // `before` and `now` as an Informer tells them: either may be empty.
  void on_service(const apimachinery::Document& before, const apimachinery::Document& now);
  void on_slice(const apimachinery::Document& before, const apimachinery::Document& now);
  void on_namespace(const apimachinery::Document& before, const apimachinery::Document& now);

  // `labels`: Service and namespace in wire form and lower case, "\3web\7default". The pointer is good until
  // the next change.
  const ServiceRecords* find(std::string_view labels);
  // Of the Service that a slice belongs to; null: none that is known. Good until the next change.
  const ServiceRecords* service_of_slice(const apimachinery::Document& slice);
  bool has_namespace(std::string_view name) const { return namespaces_.contains(name); }
  // Labels in front of "svc.DOMAIN" of those who have the address: the Service whose ClusterIP it is, else
  // each published endpoint.
  std::vector<std::string> names_of(const network::IpAddress& address);
  // Counts changes.
  std::uint64_t version() const { return version_; }
  std::size_t services() const { return services_.size(); }

 private:
  struct AddressHash {
    std::size_t operator()(const network::IpAddress& address) const;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Entry {
    std::shared_ptr<const ServiceRecords> records;
    bool is_stale = false;  // its slices have changed since
  };
  using SliceKey = std::pair<std::string, std::string>;  // the Service's labels; namespace/name of the slice

  void refresh(std::string_view labels, Entry& entry);
  void touch(std::string_view labels);
  void forget_slice(const SliceKey& key);

  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> services_;
  std::map<SliceKey, std::shared_ptr<const SliceRecords>> slices_;
  std::set<std::string, std::less<>> namespaces_;
  std::unordered_multimap<network::IpAddress, std::string, AddressHash> service_of_;
  std::unordered_multimap<network::IpAddress, const SliceRecords*, AddressHash> slices_of_;
  std::uint64_t version_ = 0;
};

}  // namespace rusternetes::dns
