// Google's own Pub/Sub fake as a program: `pubsub-fake PORT` listens on loopback until it is killed.
package main

import (
	"fmt"
	"os"
	"strconv"

	"cloud.google.com/go/pubsub/v2/pstest"
)

func main() {
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println("listening on", pstest.NewServerWithPort(port).Addr)
	select {}
}
