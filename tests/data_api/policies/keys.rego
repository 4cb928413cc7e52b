# A package whose names have to be escaped in a path.
package tenants.t["a package"]["with/slash"]["0"]

value := "reached"

list := ["zero", "one"]
