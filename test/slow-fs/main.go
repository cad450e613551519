// A folder seen through FUSE, as slow and as broken as a file server can be: slow-fs DELAY FOLDER MOUNTPOINT. Nothing is cached in the kernel.
// Each lookup, getattr, open, opendir and read waits for DELAY first. A line on standard input makes one fail: OP PATH ERRNO COUNT (`.` is the root), with errno 0 for a call that hangs,
// a negative count for ever, and opendir's errno after two names when OP is readdir. `clear` ends all that, and frees what hangs. Each line is answered with `ok`.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

type rule struct {
	errno syscall.Errno
	count int
}

var (
	delay time.Duration
	mutex sync.Mutex
	rules = map[string]*rule{}
	freed = make(chan struct{})
)

// Waits as a server would, and says how the call fails.
func serve(op, path string) syscall.Errno {
	time.Sleep(delay)
	mutex.Lock()
	found, hang := rules[op+" "+path], freed
	fails := found != nil && found.count != 0
	if fails && found.count > 0 {
		found.count--
	}
	mutex.Unlock()
	if fails && found.errno == 0 {
		<-hang
		return 0
	}
	if fails {
		return found.errno
	}
	return 0
}

type node struct{ fs.LoopbackNode }

func (n *node) at() string { return n.Path(n.RootData.RootNode.EmbeddedInode()) }

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := serve("lookup", filepath.Join(n.at(), name)); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Lookup(ctx, name, out)
}

func (n *node) Getattr(ctx context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if errno := serve("getattr", n.at()); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Getattr(ctx, f, out)
}

func (n *node) Statx(ctx context.Context, f fs.FileHandle, flags uint32, mask uint32, out *fuse.StatxOut) syscall.Errno {
	return syscall.ENOSYS
}

func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := serve("open", n.at()); errno != 0 {
		return nil, 0, errno
	}
	f, flags, errno := n.LoopbackNode.Open(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &file{f, n.at()}, flags | fuse.FOPEN_DIRECT_IO, 0
}

func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := serve("opendir", n.at()); errno != 0 {
		return nil, 0, errno
	}
	f, flags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &folder{f.(fs.FileReaddirenter), f.(fs.FileReleasedirer), serve("readdir", n.at()), 0}, flags, 0
}

type file struct {
	fs.FileHandle
	path string
}

func (f *file) Read(ctx context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := serve("read", f.path); errno != 0 {
		return nil, errno
	}
	return f.FileHandle.(fs.FileReader).Read(ctx, dest, off)
}

func (f *file) Release(ctx context.Context) syscall.Errno {
	return f.FileHandle.(fs.FileReleaser).Release(ctx)
}

type folder struct {
	fs.FileReaddirenter
	fs.FileReleasedirer
	errno syscall.Errno
	names int
}

func (f *folder) Readdirent(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	if f.names++; f.errno != 0 && f.names > 4 {
		return nil, f.errno
	}
	return f.FileReaddirenter.Readdirent(ctx)
}

func main() {
	var err error
	if delay, err = time.ParseDuration(os.Args[1]); err != nil {
		panic(err)
	}
	data := &fs.LoopbackRoot{Path: os.Args[2]}
	var root syscall.Stat_t
	if err = syscall.Stat(data.Path, &root); err != nil {
		panic(err)
	}
	data.Dev = uint64(root.Dev)
	data.NewNode = func(data *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &node{fs.LoopbackNode{RootData: data}}
	}
	data.RootNode = data.NewNode(data, nil, "", &root)
	none := time.Duration(0)
	server, err := fs.Mount(os.Args[3], data.RootNode, &fs.Options{
		EntryTimeout: &none, AttrTimeout: &none, NegativeTimeout: &none,
		MountOptions: fuse.MountOptions{FsName: "slow", Name: "slow", DirectMount: true, AllowOther: true},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("ok")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); fmt.Println("ok") {
		var op, path string
		made := &rule{}
		mutex.Lock()
		if strings.HasPrefix(lines.Text(), "clear") {
			rules = map[string]*rule{}
			close(freed)
			freed = make(chan struct{})
		} else if _, err = fmt.Sscanf(lines.Text(), "%s %s %d %d", &op, &path, &made.errno, &made.count); err != nil {
			panic(err)
		} else {
			if path == "." {
				path = ""
			}
			rules[op+" "+path] = made
		}
		mutex.Unlock()
	}
	server.Unmount()
}
