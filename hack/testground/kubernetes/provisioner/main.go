// The provisioner of the test ground: a folder for every claim of a class that names it.
//
//	class with volumeBindingMode Immediate              DISKS/shared/volumes/PV, any node can use it, as a network disk
//	class with volumeBindingMode WaitForFirstConsumer   DISKS/node-N/volumes/PV, bound to that node and lost with it
//
// The volumes are of type `local`, so the kubelet honours fsGroup; Pods without one can write because the mode is 0777.
// Volumes whose claim is gone are removed with their folder when the class says reclaimPolicy Delete. None can grow.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	name            = "testground/folder"
	wantedFrom      = "volume.kubernetes.io/storage-provisioner"
	selectedNode    = "volume.kubernetes.io/selected-node"
	provisionedBy   = "pv.kubernetes.io/provisioned-by"
	requestDeadline = 5 * time.Second
)

type provisioner struct {
	client kubernetes.Interface
	disks  string
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	disks := flag.String("disks", "", "folder that holds shared/ and node-N/")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	config.QPS = -1 // no client-side limit: never the slowest part of what is measured
	p := provisioner{client: kubernetes.NewForConfigOrDie(config), disks: *disks}

	// The resync is the retry: what failed is seen again.
	factory := informers.NewSharedInformerFactory(p.client, 2*time.Second)
	handle(factory.Core().V1().PersistentVolumeClaims().Informer(), p.provision)
	handle(factory.Core().V1().PersistentVolumes().Informer(), p.reclaim)
	factory.Start(context.Background().Done())
	select {}
}

func handle[T any](informer cache.SharedIndexInformer, act func(context.Context, T) error) {
	seen := func(object any) {
		if typed, ok := object.(T); ok {
			ctx, cancel := context.WithTimeout(context.Background(), requestDeadline)
			defer cancel()
			if err := act(ctx, typed); err != nil {
				log.Print(err)
			}
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    seen,
		UpdateFunc: func(_, object any) { seen(object) },
	})
	if err != nil {
		log.Fatal(err)
	}
}

func (p provisioner) provision(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	if claim.Annotations[wantedFrom] != name || claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || claim.Spec.StorageClassName == nil {
		return nil
	}
	class, err := p.client.StorageV1().StorageClasses().Get(ctx, *claim.Spec.StorageClassName, meta.GetOptions{})
	if err != nil {
		return fmt.Errorf("claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	disk, label, value := "shared", core.LabelOSStable, "linux"
	if node := claim.Annotations[selectedNode]; node != "" {
		disk, label, value = node, core.LabelHostname, node
	}
	volume := "pvc-" + string(claim.UID)
	folder := filepath.Join(p.disks, disk, "volumes", volume)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(folder, 0o777); err != nil { // whatever the umask
		return err
	}
	_, err = p.client.CoreV1().PersistentVolumes().Create(ctx, &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: volume, Annotations: map[string]string{provisionedBy: name}},
		Spec: core.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			ClaimRef:                      &core.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeReclaimPolicy: *class.ReclaimPolicy,
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: folder}},
			StorageClassName:              class.Name,
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
				MatchExpressions: []core.NodeSelectorRequirement{{Key: label, Operator: core.NodeSelectorOpIn, Values: []string{value}}},
			}}}},
		},
	}, meta.CreateOptions{})
	if errors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (p provisioner) reclaim(ctx context.Context, volume *core.PersistentVolume) error {
	if volume.Annotations[provisionedBy] != name || volume.Status.Phase != core.VolumeReleased ||
		volume.Spec.PersistentVolumeReclaimPolicy != core.PersistentVolumeReclaimDelete || volume.DeletionTimestamp != nil {
		return nil
	}
	if err := os.RemoveAll(volume.Spec.Local.Path); err != nil {
		return err
	}
	err := p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, meta.DeleteOptions{})
	if errors.IsNotFound(err) {
		return nil
	}
	return err
}
