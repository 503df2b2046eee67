#pragma once
// Who may do what. Authorizers are asked in the order of --authorization-mode; the first that allows or denies decides.

#include <string>
#include <vector>

#include "api-server/request_context.h"
#include "base/status.h"
#include "apimachinery/document.h"

namespace rusternetes::api_server {

enum class Decision { no_opinion, allow, deny };

struct Verdict {
  Decision decision = Decision::no_opinion;
  std::string reason;
  std::string error;  // what could not be evaluated, for SubjectAccessReview's evaluationError
};

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  // Fast and without I/O: authorizers read memory only. Called from any I/O thread.
  virtual Verdict authorize(const Attributes& attributes) const = 0;
};

// The objects that authorizers and authenticators read, from the watch caches. Answers are snapshots; an absent object is
// an empty document. Thread-safe.
class ObjectSource {
 public:
  virtual ~ObjectSource() = default;
  // ("rbac.authorization.k8s.io", "clusterroles", "", "view")
  virtual apimachinery::Document get(std::string_view group, std::string_view resource, std::string_view name_space,
                                     std::string_view name) const = 0;
  // All of a namespace, or of every namespace when it is empty.
  virtual std::vector<apimachinery::Document> list(std::string_view group, std::string_view resource,
                                                   std::string_view name_space) const = 0;
  // Rises with every change of the resource; lets readers keep what they derived.
  virtual std::uint64_t generation(std::string_view group, std::string_view resource) const = 0;
};

}  // namespace rusternetes::api_server
