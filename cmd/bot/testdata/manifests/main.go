// Command manifests checks what is deployed by the tools that will read it: the
// Dockerfile by the rules of docker build --check, compose files by Compose's
// own loader, and Kubernetes manifests by the types of the API, strictly, and by
// the Pod Security Standard that their namespace enforces.
//
//	manifests DOCKERFILE COMPOSE-FILE... KUBERNETES-MANIFEST
//
// It prints a line for each thing that is wrong, and then exits 1. It is a module
// of its own, as the program needs none of these libraries.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/opencontainers/go-digest"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "manifests DOCKERFILE COMPOSE-FILE... KUBERNETES-MANIFEST")
		os.Exit(2)
	}
	last := len(os.Args) - 1
	failed := false
	report := func(file string, problems []string) {
		failed = failed || len(problems) > 0
		for _, p := range problems {
			fmt.Printf("%s: %s\n", file, p)
		}
	}
	report(os.Args[1], dockerfile(os.Args[1]))
	for _, file := range os.Args[2:last] {
		report(file, compose(file))
	}
	report(os.Args[last], kubernetes(os.Args[last]))
	if failed {
		os.Exit(1)
	}
}

// noRegistry knows nothing of images, so that none is asked for.
type noRegistry struct{}

func (noRegistry) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"architecture": "amd64", "os": "linux"}`), nil
}

func dockerfile(file string) (problems []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return []string{err.Error()}
	}
	source := llb.NewSourceMap(nil, file, "Dockerfile", text)
	source.Definition = &llb.Definition{}
	found, err := dockerfile2llb.DockerfileLint(context.Background(), text, dockerfile2llb.ConvertOpt{SourceMap: source, MetaResolver: noRegistry{}})
	if err != nil {
		return []string{err.Error()}
	}
	if found.Error != nil {
		problems = append(problems, found.Error.Message)
	}
	for _, w := range found.Warnings {
		problems = append(problems, w.RuleName+": "+w.Detail)
	}
	return problems
}

// compose loads the file as Compose does: by the specification's schema, with
// each secret, network and volume that a service names.
func compose(file string) []string {
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  ".",
		ConfigFiles: []types.ConfigFile{{Filename: file}},
	})
	if err != nil {
		return []string{err.Error()}
	}
	if len(project.Services) == 0 {
		return []string{"there is no service"}
	}
	return nil
}

// kubernetes reads the file as strictly as kubectl does: a field that is misspelt
// or misplaced is an error.
func kubernetes(file string) (problems []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return []string{err.Error()}
	}
	problem := func(format string, a ...any) { problems = append(problems, fmt.Sprintf(format, a...)) }
	var (
		namespace  corev1.Namespace
		deployment appsv1.Deployment
		budget     policyv1.PodDisruptionBudget
		network    networkingv1.NetworkPolicy
		account    corev1.ServiceAccount
		config     corev1.ConfigMap
	)
	objects := map[string]metav1.Object{
		"v1 Namespace": &namespace, "v1 ServiceAccount": &account, "v1 ConfigMap": &config, "apps/v1 Deployment": &deployment,
		"policy/v1 PodDisruptionBudget": &budget, "networking.k8s.io/v1 NetworkPolicy": &network,
	}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var of metav1.TypeMeta
		if err := yaml.Unmarshal(document, &of); err != nil {
			problem("%v", err)
			continue
		}
		kind := of.APIVersion + " " + of.Kind
		object := objects[kind]
		if object == nil {
			problem("%s is not one of the objects that are expected, or is there twice", kind)
			continue
		}
		delete(objects, kind)
		asJSON, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			problem("%s: %v", kind, err)
			continue
		}
		unknown, err := json.UnmarshalStrict(asJSON, object)
		for _, err := range append(unknown, err) {
			if err != nil {
				problem("%s: %v", kind, err)
			}
		}
		if object != metav1.Object(&namespace) && object.GetNamespace() != namespace.Name {
			problem("%s: it is in the namespace %q", kind, object.GetNamespace())
		}
	}
	for kind := range objects {
		problem("there is no %s", kind)
	}

	pod := deployment.Spec.Template
	for what, selector := range map[string]*metav1.LabelSelector{
		"Deployment": deployment.Spec.Selector, "PodDisruptionBudget": budget.Spec.Selector, "NetworkPolicy": &network.Spec.PodSelector,
	} {
		if s, err := metav1.LabelSelectorAsSelector(selector); err != nil || s.Empty() || !s.Matches(labels.Set(pod.Labels)) {
			problem("%s: its selector %v is not for the pods", what, selector)
		}
	}
	if pod.Spec.ServiceAccountName != account.Name {
		problem("the service account %s isn't there", pod.Spec.ServiceAccountName)
	}

	level, err := api.ParseLevel(namespace.Labels[api.EnforceLevelLabel])
	if err != nil || level != api.LevelRestricted {
		problem("the namespace enforces %q", level)
	}
	security, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return append(problems, err.Error())
	}
	for _, result := range security.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			problem("the %s Pod Security Standard forbids: %s: %s", api.LevelRestricted, result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	return problems
}
