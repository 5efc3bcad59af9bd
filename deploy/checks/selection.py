"""What selects pods selects those it is for; what scales finds its target, alone.

What an object is for is its own label `app.kubernetes.io/component`: a Service of servers must not
take a pod of the re-evaluator, whose ports answer other calls.
"""

from collections.abc import Iterator

from deploy.checks.objects import COMPONENT, NAME, SCALERS, Json, Pod, Tree, chosen, labels, said

OURS = [{NAME: "sonoba", COMPONENT: component} for component in ("server", "reevaluator")]


def selector_breaches(tree: Tree) -> Iterator[str]:
    """Yield Services, budgets, monitors and policies that select nothing, or pods of others."""
    for document in tree.of("Service", "PodDisruptionBudget", "PodMonitor", "NetworkPolicy"):
        selector = selector_of(document)
        if selector == {} and document["kind"] == "NetworkPolicy":
            continue  # of all pods, on purpose
        taken = tree.selected(selector)
        if not selector or not taken:
            yield f"{said(document)}: expected a selector that takes pods, got {selector}"
            continue
        component = labels(document).get(COMPONENT)
        for pod in taken:
            if (other := pod.labels.get(COMPONENT)) != component:
                yield f"{said(document)}: expected pods of {component}, got {pod.name} of {other}"


def selector_of(document: Json) -> Json | None:
    """Return the label selector of an object, in the form with matchLabels."""
    spec = document["spec"]
    match document["kind"]:
        case "Service":
            return {"matchLabels": spec.get("selector") or {}} if spec.get("selector") else None
        case "NetworkPolicy":
            found: Json = spec["podSelector"]
            return found
    selector: Json | None = spec.get("selector")
    return selector


def template_breaches(tree: Tree) -> Iterator[str]:
    """Yield workloads and spread constraints whose selector is not that of their own pods."""
    for pod in tree.pods:
        own = pod.owner["spec"].get("selector")
        if own is not None and not chosen(own, pod.labels):
            yield f"{pod.name}: expected a selector that takes its own pods, got {own}"
        for constraint in pod.spec.get("topologySpreadConstraints") or ():
            if not chosen(constraint.get("labelSelector"), pod.labels):
                yield f"{pod.name}: expected to be spread by labels of its own pods"


def peer_breaches(tree: Tree) -> Iterator[str]:
    """Yield peers of NetworkPolicies in this namespace that are no pod, here or in a component."""
    for policy in tree.of("NetworkPolicy"):
        for rule in (*(policy["spec"].get("ingress") or ()), *(policy["spec"].get("egress") or ())):
            for peer in (*rule.get("from", ()), *rule.get("to", ())):
                selector = peer.get("podSelector")
                known = tree.selected(selector) or any(chosen(selector, one) for one in OURS)
                if selector and "namespaceSelector" not in peer and not known:
                    yield f"{said(policy)}: expected a peer that is a pod here, got {selector}"


def scaler_breaches(tree: Tree) -> Iterator[str]:
    """Yield scalers without a target, beside another one, or beside a number of replicas."""
    scaled: dict[str, str] = {}
    for scaler in tree.of(*SCALERS):
        reference = scaler["spec"]["scaleTargetRef"]
        kind, name = reference.get("kind", "Deployment"), reference["name"]
        target = tree.find(kind, name)
        if target is None:
            yield f"{said(scaler)}: expected a target that is here, got {kind}/{name}"
            continue
        if "replicas" in target["spec"]:
            yield f"{said(target)}: expected no replicas beside {said(scaler)}, which sets them"
        if other := scaled.get(said(target)):
            yield f"{said(target)}: expected one scaler, got {other} and {said(scaler)}"
        scaled[said(target)] = said(scaler)


def cover_breaches(tree: Tree) -> Iterator[str]:
    """Yield pods that no policy but the default closes, and namespaces without a default."""
    policies = tree.of("NetworkPolicy")
    if not policies:
        return
    closed = [one for one in policies if selector_of(one) == {} and _closes_all(one)]
    if not closed:
        yield "NetworkPolicy: expected one of all pods that denies Ingress and Egress, got none"
    for pod in tree.pods:
        yield from _uncovered(pod, [one for one in policies if one not in closed])


def _closes_all(policy: Json) -> bool:
    spec = policy["spec"]
    kinds = set(spec.get("policyTypes") or ())
    return kinds == {"Ingress", "Egress"} and not (spec.get("ingress") or spec.get("egress"))


def _uncovered(pod: Pod, policies: list[Json]) -> Iterator[str]:
    own = [one for one in policies if chosen(selector_of(one), pod.labels)]
    kinds = {kind for one in own for kind in one["spec"].get("policyTypes") or ()}
    if kinds != {"Ingress", "Egress"}:
        got = sorted(kinds)
        yield f"{pod.name}: expected a policy of its own for Ingress and Egress, got {got}"
    for policy in own:
        for direction in ("ingress", "egress"):
            if {} in (policy["spec"].get(direction) or ()):
                yield f"{said(policy)}: expected {direction} that names ports or peers, got all"
