//go:build !torture

package service

// torture says that the numbers are those that the service promises.
const torture = false
