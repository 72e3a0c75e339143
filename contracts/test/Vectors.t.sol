// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Settlement} from "../src/Settlement.sol";
import {Assert} from "./support/Assert.sol";
import {Tree} from "./support/Tree.sol";
import {vm} from "./support/Vm.sol";

/// Leaves, roots and proofs made by the off-chain code are the contract's. The file is written by the Rust test
/// `merkle_vectors`, which also fails when it is out of date.
contract VectorsTest is Assert {
    function _at(uint256 i, string memory field) private pure returns (string memory) {
        return string.concat(".rows[", vm.toString(i), "].", field);
    }

    function test_the_off_chain_vectors_are_the_contracts() public {
        string memory json = vm.readFile("test/vectors/merkle.json");
        vm.chainId(vm.parseJsonUint(json, ".chain_id"));
        // The first contract of this deployer: its address depends on nothing else.
        vm.prank(vm.parseJsonAddress(json, ".deployer"));
        Settlement settlement = new Settlement(IERC20(address(1)), address(1), address(1), address(1), 0, 0);
        eq(address(settlement), vm.parseJsonAddress(json, ".settlement"), "settlement");

        _checkSide(settlement, json, Settlement.Side.Credit, "credit");
        _checkSide(settlement, json, Settlement.Side.Debit, "debit");
    }

    function _checkSide(Settlement settlement, string memory json, Settlement.Side side, string memory name)
        private
        view
    {
        bytes32 root = vm.parseJsonBytes32(json, string.concat(".", name, "_root"));
        uint256 count = vm.parseJsonUint(json, ".count");
        ge(count, 5, "vectors");
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; i++) {
            address account = vm.parseJsonAddress(json, _at(i, "account"));
            uint256 cumulative = vm.parseJsonUint(json, _at(i, "cumulative"));
            leaves[i] = settlement.leaf(side, account, cumulative);
            eq(leaves[i], vm.parseJsonBytes32(json, _at(i, string.concat(name, "_leaf"))), "leaf");
            bytes32[] memory proof = vm.parseJsonBytes32Array(json, _at(i, string.concat(name, "_proof")));
            yes(MerkleProof.verify(proof, root, leaves[i]), "proof");
        }
        eq(Tree.root(leaves), root, "root");
    }
}
