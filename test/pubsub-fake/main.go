// Google's own Pub/Sub fake as a program: `pubsub-fake PORT [PORT]` listens on loopback until it is killed. The second port tells by HTTP what
// became of each message: how often it was delivered, acknowledged, and given back.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"cloud.google.com/go/pubsub/v2/pstest"
)

func main() {
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	server := pstest.NewServerWithPort(port)
	fmt.Println("listening on", server.Addr)
	if len(os.Args) > 2 {
		panic(http.ListenAndServe("127.0.0.1:"+os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			json.NewEncoder(w).Encode(server.Messages())
		})))
	}
	select {}
}
