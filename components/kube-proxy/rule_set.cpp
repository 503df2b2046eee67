#include "kube-proxy/rule_set.h"

namespace rusternetes::kube_proxy {

template class BasicRuleSet<Element>;

}  // namespace rusternetes::kube_proxy
